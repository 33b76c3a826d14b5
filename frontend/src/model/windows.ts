/** Windows: what the image itself offers, and the presets of its modality for keys 1 to 9. */

import { type DataSet, numbers, text, texts } from "../dicomweb/dicom-json";
import { Tag } from "./tags";

export interface Window {
	readonly center: number;
	readonly width: number;
}

export interface WindowPreset extends Window {
	readonly name: string;
}

/** The windows recorded in the image, with their explanations. */
export function recordedWindows(attributes: DataSet): WindowPreset[] {
	const centers = numbers(attributes, Tag.WindowCenter);
	const widths = numbers(attributes, Tag.WindowWidth);
	const names = texts(attributes, Tag.WindowCenterWidthExplanation);
	return centers.slice(0, widths.length).flatMap((center, index) => {
		const width = widths[index] ?? 0;
		const fallback = centers.length > 1 ? `recorded ${index + 1}` : "recorded";
		return width > 0 ? [{ center, width, name: (names[index] || fallback).toLowerCase() }] : [];
	});
}

const CT: readonly WindowPreset[] = [
	{ name: "soft tissue", center: 40, width: 400 },
	{ name: "lung", center: -600, width: 1500 },
	{ name: "bone", center: 400, width: 1800 },
	{ name: "brain", center: 40, width: 80 },
	{ name: "subdural", center: 75, width: 215 },
	{ name: "stroke", center: 40, width: 40 },
	{ name: "mediastinum", center: 50, width: 350 },
	{ name: "liver", center: 60, width: 160 },
	{ name: "angiography", center: 300, width: 600 },
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

/** Presets for keys 1 to 9: those of the modality where values mean something, else the recorded ones. */
export function windowPresets(attributes: DataSet): readonly WindowPreset[] {
	return isHounsfield(attributes) ? CT : recordedWindows(attributes).slice(0, 9);
}

/** The name of the preset in force, or "". */
export function windowName(attributes: DataSet, window: Window): string {
	const all = [...windowPresets(attributes), ...recordedWindows(attributes)];
	const found = all.find(
		(each) =>
			Math.abs(each.center - window.center) < 0.5 && Math.abs(each.width - window.width) < 0.5,
	);
	return found?.name ?? "";
}
