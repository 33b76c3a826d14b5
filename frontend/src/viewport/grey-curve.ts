/** Draws grey images over a curve of our own, with padding left out of the picture. */

import { type Types, utilities } from "@cornerstonejs/core";
import { greyAt, type Range, type Shape } from "../model/voi";
import type { Padding } from "./default-window";

const { createLinearRGBTransferFunction } = utilities;

/** Steps of a curve that is no straight line; what the engine's texture of it holds. */
const STEPS = 4096;

interface Node {
	x: number;
	r: number;
	g: number;
	b: number;
	midpoint: number;
	sharpness: number;
}

/** The part of the renderer's colour function that is used here. */
interface ColorFunction {
	setNodes(nodes: Node[]): boolean;
	/** Samples of the whole range, red, green and blue each. */
	getTable(start: number, end: number, size: number, table: Float32Array): void;
}

interface GreyProperty {
	getRGBTransferFunction(index: number): ColorFunction | null;
	setRGBTransferFunction(index: number, curve: ColorFunction): void;
	setUseLookupTableScalarRange(use: boolean): void;
	setPiecewiseFunction(index: number, opacity: OpacityFunction | null): void;
}

interface GreyActor {
	getProperty(): GreyProperty;
	getMapper(): {
		setColorTextureWidth(samples: number): void;
		setOpacityTextureWidth(samples: number): void;
	};
}

/** What the renderer asks of a function from values to opacity. */
export interface OpacityFunction {
	getRange(): readonly [number, number];
	getMTime(): number;
	/** Samples of the whole range. */
	getTable(start: number, end: number, size: number, table: Float32Array): void;
}

let changes = 1;

/**
 * Nothing where the padding is, everything elsewhere. The renderer puts the samples at the middles
 * of equal parts of the range; a sample a value, and one beyond at either end, meet values exactly.
 */
export function paddingOpacity({ lower, upper, step }: Padding): {
	opacity: OpacityFunction;
	samples: number;
} {
	const changed = ++changes;
	const samples = Math.min(STEPS, Math.round((upper - lower) / step) + 3);
	const opacity: OpacityFunction = {
		getRange: () => [lower - 1.5 * step, upper + 1.5 * step],
		getMTime: () => changed,
		getTable: (_start, _end, size, table) => {
			table.fill(0);
			table[0] = 1;
			table[size - 1] = 1;
		},
	};
	return { opacity, samples };
}

/** The renderer's samples of a lookup table are its entries, as many as fit. */
function samplesOf(shape: Shape): number {
	return shape.kind === "table" ? Math.min(STEPS, shape.table.entries.length) : STEPS;
}

function nodesOf(shape: Shape, range: Range, inverted: boolean): Node[] {
	const straight = shape.kind === "function" && shape.function !== "SIGMOID";
	const steps = straight ? 1 : STEPS - 1;
	return Array.from({ length: steps + 1 }, (_, step) => {
		const share = step / steps;
		const grey = inverted ? 1 - greyAt(shape, share) : greyAt(shape, share);
		const x = range.lower + (range.upper - range.lower) * share;
		return { x, r: grey, g: grey, b: grey, midpoint: 0.5, sharpness: 0 };
	});
}

/** A lookup table over its range: the renderer puts sample n at the middle of the n-th part. */
function tableFunction(curve: ColorFunction, shape: Shape, inverted: boolean): ColorFunction {
	return {
		...curve,
		getTable: (_start, _end, size, out) => {
			for (let index = 0; index < size; index += 1) {
				const grey = greyAt(shape, (index + 0.5) / size);
				out.fill(inverted ? 1 - grey : grey, index * 3, index * 3 + 3);
			}
		},
	};
}

export interface Curve {
	readonly shape: Shape;
	readonly inverted: boolean;
	readonly padding: Padding | undefined;
}

/**
 * Puts a curve under the picture in a viewport; false when the viewport draws without a graphics
 * card and cannot have one.
 */
export function installCurve(
	viewport: Types.IStackViewport,
	{ shape, inverted, padding }: Curve,
	range: Range,
): boolean {
	const actor = viewport.getDefaultActor()?.actor as unknown as Partial<GreyActor> | undefined;
	const property = actor?.getProperty?.();
	if (!property?.setRGBTransferFunction) return false;
	const curve = createLinearRGBTransferFunction({ ...range }) as unknown as ColorFunction;
	curve.setNodes(nodesOf(shape, range, inverted));
	const mapper = actor?.getMapper?.();
	const hidden = padding && paddingOpacity(padding);
	mapper?.setColorTextureWidth(samplesOf(shape));
	mapper?.setOpacityTextureWidth(hidden?.samples ?? 2);
	property.setUseLookupTableScalarRange(true);
	property.setRGBTransferFunction(
		0,
		shape.kind === "table" ? tableFunction(curve, shape, inverted) : curve,
	);
	property.setPiecewiseFunction(0, hidden?.opacity ?? null);
	return true;
}
