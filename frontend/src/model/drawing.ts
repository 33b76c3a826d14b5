/** A measurement as plain data, free of the engine that drew it; what a draft is made of. */

export interface DrawnReading {
	readonly name: string;
	readonly value: number;
	readonly unit: string;
}

/** Column and row in pixels of the image; 0, 0 is the middle of the first pixel. */
export type Place = readonly [column: number, row: number];

export interface Drawing {
	readonly id: string;
	readonly tool: string;
	readonly seriesInstanceUID: string;
	readonly sopInstanceUID: string;
	/** From 1. */
	readonly frameNumber: number;
	readonly points: readonly Place[];
	/** Where the reader moved the label to; undefined while it keeps its own place. */
	readonly labelAt: Place | undefined;
	readonly text: string;
	/** What the millimetres rest on. */
	readonly note: string;
	readonly readings: readonly DrawnReading[];
}

const spelled = (drawing: Drawing) =>
	JSON.stringify([
		drawing.tool,
		drawing.sopInstanceUID,
		drawing.frameNumber,
		drawing.points.map((point) => point.map((each) => each.toFixed(3))),
		drawing.labelAt?.map((each) => each.toFixed(1)),
		drawing.text,
		drawing.readings.map(({ name, value, unit }) => [name, value.toPrecision(6), unit]),
	]);

/** True when both say the same; what rounding can change does not count. */
export function sameDrawing(a: Drawing | undefined, b: Drawing | undefined): boolean {
	return a === b || (a !== undefined && b !== undefined && spelled(a) === spelled(b));
}

export function sameDrawings(a: readonly Drawing[], b: readonly Drawing[]): boolean {
	if (a.length !== b.length) return false;
	const others = new Map(b.map((each) => [each.id, each]));
	return a.every((each) => sameDrawing(each, others.get(each.id)));
}

/**
 * Two windows changed the same draft: what only one of them changed, drew or deleted is taken from
 * it; what both changed, from this one, where the reader is.
 */
export function mergeDrawings(
	base: readonly Drawing[],
	mine: readonly Drawing[],
	theirs: readonly Drawing[],
): Drawing[] {
	const byId = (list: readonly Drawing[]) => new Map(list.map((each) => [each.id, each]));
	const [before, here, there] = [byId(base), byId(mine), byId(theirs)];
	const ids = new Set([...here.keys(), ...there.keys()]);
	return [...ids].flatMap((id) => {
		const touched = !sameDrawing(here.get(id), before.get(id));
		const found = touched ? here.get(id) : there.get(id);
		return found ? [found] : [];
	});
}
