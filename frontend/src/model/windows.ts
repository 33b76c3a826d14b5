/** Presets for keys 1 to 9, what the values mean, and what the way to grey in force is called. */

import type { DataSet } from "../dicomweb/dicom-json";
import { text, texts } from "../dicomweb/dicom-json";
import type { LookupTable } from "./lookup-table";
import { Tag } from "./tags";
import {
	type Range,
	rangeOf,
	recordedWindows,
	type Shape,
	type Voi,
	voiAlternatives,
	type Window,
	type WindowVoi,
} from "./voi";

const preset = (name: string, center: number, width: number): WindowVoi => ({
	kind: "window",
	name,
	center,
	width,
	function: "LINEAR",
});

const CT: readonly WindowVoi[] = [
	preset("soft tissue", 40, 400),
	preset("lung", -600, 1500),
	preset("bone", 400, 1800),
	preset("brain", 40, 80),
	preset("subdural", 75, 215),
	preset("stroke", 40, 40),
	preset("mediastinum", 50, 350),
	preset("liver", 60, 160),
	preset("angiography", 300, 600),
];

/** True when the values are Hounsfield units: CT with RescaleType HU, or CT that names none. */
export function isHounsfield(attributes: DataSet): boolean {
	const type = text(attributes, Tag.RescaleType);
	const localizer = texts(attributes, Tag.ImageType).includes("LOCALIZER");
	return (
		text(attributes, Tag.Modality) === "CT" &&
		(type === "HU" || (type === "" && !localizer) || (type === "US" && !localizer))
	);
}

/** The unit of a stored value after the modality LUT; "" when nothing says. */
export function valueUnit(attributes: DataSet): string {
	if (isHounsfield(attributes)) return "HU";
	if (text(attributes, Tag.Modality) === "PT") return text(attributes, Tag.Units);
	const type = text(attributes, Tag.RescaleType);
	return ["", "US", "HU"].includes(type) ? "" : type;
}

/** Presets for keys 1 to 9: those of the modality where values mean something, else what the image offers. */
export function voiPresets(attributes: DataSet, tables: readonly LookupTable[] = []): Voi[] {
	if (isHounsfield(attributes)) return [...CT];
	return voiAlternatives(attributes, tables).slice(0, 9);
}

/** The name of a window that a preset or the image itself has, or "". */
export function windowName(attributes: DataSet, window: Window, shape: Shape): string {
	const near = (a: number, b: number) => Math.abs(a - b) < 0.5;
	const all = [...voiPresets(attributes), ...recordedWindows(attributes)];
	const found = all.find(
		(each) =>
			each.kind === "window" &&
			shape.kind === "function" &&
			each.function === shape.function &&
			near(each.center, window.center) &&
			near(each.width, window.width),
	);
	return found?.name ?? "";
}

/** True while a VOI LUT stands over the very values it was made for. */
export function isAsRecorded(shape: Shape, range: Range): boolean {
	if (shape.kind !== "table") return false;
	const own = rangeOf({ kind: "table", name: "", table: shape.table });
	return Math.abs(own.lower - range.lower) < 0.5 && Math.abs(own.upper - range.upper) < 0.5;
}

/** `W 400 L 40`, with the function where it is not the usual one; or that it is a table. */
export function voiWords(voi: Voi): string {
	if (voi.kind === "table") return "VOI LUT";
	const how = { LINEAR: "", LINEAR_EXACT: " exact", SIGMOID: " sigmoid" }[voi.function];
	return `W ${voi.width} L ${String(voi.center).replace("-", "\u2212")}${how}`;
}
