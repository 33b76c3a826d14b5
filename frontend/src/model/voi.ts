/** From output values of the modality LUT to grey (PS3.3 C.11.2): windows by function, and VOI LUTs. */

import { type DataSet, numbers, text, texts } from "../dicomweb/dicom-json";
import type { LookupTable } from "./lookup-table";
import { Tag } from "./tags";

export type VoiFunction = "LINEAR" | "LINEAR_EXACT" | "SIGMOID";

export interface Window {
	readonly center: number;
	readonly width: number;
}

/** How values become grey, apart from where: a curve is stretched over a range of values. */
export type Shape =
	| { readonly kind: "function"; readonly function: VoiFunction }
	| { readonly kind: "table"; readonly table: LookupTable };

export interface WindowVoi extends Window {
	readonly kind: "window";
	readonly name: string;
	readonly function: VoiFunction;
}

export interface TableVoi {
	readonly kind: "table";
	readonly name: string;
	readonly table: LookupTable;
}

/** One of the alternatives that an image offers (PS3.3 C.11.2.1), or a preset. */
export type Voi = WindowVoi | TableVoi;

export interface Range {
	readonly lower: number;
	readonly upper: number;
}

export const LINEAR: Shape = { kind: "function", function: "LINEAR" };

/** A sigmoid is within half a grey level of black and white this many widths off its centre. */
const SIGMOID_REACH = 1.75;
/** A window of width 1 is a step; so narrow is still a range for the engine. */
const STEP = 0.01;
const FUNCTIONS: readonly string[] = ["LINEAR", "LINEAR_EXACT", "SIGMOID"];

/** The windows recorded in the image, in order. */
export function recordedWindows(attributes: DataSet): WindowVoi[] {
	const centers = numbers(attributes, Tag.WindowCenter);
	const widths = numbers(attributes, Tag.WindowWidth);
	const names = texts(attributes, Tag.WindowCenterWidthExplanation);
	const stated = text(attributes, Tag.VOILUTFunction);
	const known = FUNCTIONS.includes(stated) ? (stated as VoiFunction) : "LINEAR";
	return centers.slice(0, widths.length).flatMap((center, index) => {
		const width = widths[index] ?? 0;
		if (!(width > 0)) return [];
		const fallback = centers.length > 1 ? `recorded ${index + 1}` : "recorded";
		const name = (names[index] || fallback).toLowerCase();
		// LINEAR forbids widths below 1; such a window is meant exactly.
		const how = known === "LINEAR" && width < 1 ? "LINEAR_EXACT" : known;
		return [{ kind: "window", center, width, name, function: how } as const];
	});
}

/** Everything the image offers: its windows first, then its VOI LUTs. */
export function voiAlternatives(attributes: DataSet, tables: readonly LookupTable[]): Voi[] {
	return [
		...recordedWindows(attributes),
		...tables.map((table, index): TableVoi => {
			const fallback = tables.length > 1 ? `LUT ${index + 1}` : "LUT";
			return { kind: "table", name: table.name.toLowerCase() || fallback, table };
		}),
	];
}

export function shapeOf(voi: Voi): Shape {
	return voi.kind === "table"
		? { kind: "table", table: voi.table }
		: { kind: "function", function: voi.function };
}

/** Values that a window spreads over all grey levels; a step gets a sliver. */
export function rangeOfWindow({ center, width }: Window, how: VoiFunction): Range {
	if (how === "SIGMOID") {
		return { lower: center - SIGMOID_REACH * width, upper: center + SIGMOID_REACH * width };
	}
	if (how === "LINEAR_EXACT") return { lower: center - width / 2, upper: center + width / 2 };
	const lower = center - 0.5 - (width - 1) / 2;
	return { lower, upper: Math.max(lower + STEP, center - 0.5 + (width - 1) / 2) };
}

export function rangeOf(voi: Voi): Range {
	if (voi.kind === "window") return rangeOfWindow(voi, voi.function);
	// Every entry stands for its value and half the way to the next on either side.
	const { first, entries } = voi.table;
	return { lower: first - 0.5, upper: first + entries.length - 0.5 };
}

/** The window that a range amounts to under a shape; tables count as exact. */
export function windowOfRange({ lower, upper }: Range, shape: Shape): Window {
	const how = shape.kind === "function" ? shape.function : "LINEAR_EXACT";
	const center = (lower + upper) / 2;
	if (how === "SIGMOID") return { center, width: (upper - lower) / (2 * SIGMOID_REACH) };
	if (how === "LINEAR_EXACT") return { center, width: upper - lower };
	const width = upper - lower + 1;
	return { center: center + 0.5, width: width - 1 <= STEP * 1.5 ? 1 : width };
}

/** Grey from 0 to 1 at a place in the range, from 0 at its lower end to 1 at its upper. */
export function greyAt(shape: Shape, share: number): number {
	const place = Math.min(1, Math.max(0, share));
	if (shape.kind === "table") {
		const { entries, bits } = shape.table;
		const at = Math.min(entries.length - 1, Math.max(0, place * entries.length - 0.5));
		const below = entries[Math.floor(at)] ?? 0;
		const above = entries[Math.ceil(at)] ?? below;
		return (below + (above - below) * (at - Math.floor(at))) / (2 ** bits - 1);
	}
	if (shape.function !== "SIGMOID") return place;
	return 1 / (1 + Math.exp(-4 * SIGMOID_REACH * (2 * place - 1)));
}

/**
 * Whether the least value is white. MONOCHROME1 and Presentation LUT Shape INVERSE name one and
 * the same inversion: DX demands both together (PS3.3 C.8.11.3), so they do not cancel out.
 */
export function isInverted(attributes: DataSet): boolean {
	return (
		text(attributes, Tag.PhotometricInterpretation) === "MONOCHROME1" ||
		text(attributes, Tag.PresentationLUTShape) === "INVERSE"
	);
}
