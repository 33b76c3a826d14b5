/** What a measurement says: value and unit, and what the millimetres rest on. */

import type { DataSet } from "../dicomweb/dicom-json";
import { figure } from "../model/overlay";
import { SPACING_WORDS, spacingOf } from "../model/spacing";
import { valueUnit } from "../model/windows";
import type { ToolId } from "./tool-table";

export interface Reading {
	readonly name: string;
	readonly value: number;
	readonly unit: string;
}

/** The numbers the engine computed for one image; everything is optional there. */
export interface Stats {
	length?: unknown;
	width?: unknown;
	unit?: unknown;
	angle?: unknown;
	area?: unknown;
	areaUnit?: unknown;
	mean?: unknown;
	stdDev?: unknown;
	min?: unknown;
	max?: unknown;
	value?: unknown;
	/** Red, green and blue of a colour image. */
	channels?: readonly number[] | undefined;
}

/** The engine says "mm", "px", or "cm US Region"; we say mm or px and keep the note apart. */
function inMillimetres(value: number, engineUnit: string, power: 1 | 2): Omit<Reading, "name"> {
	const suffix = power === 2 ? "\u00b2" : "";
	if (engineUnit.startsWith("cm")) return { value: value * 10 ** power, unit: `mm${suffix}` };
	if (engineUnit.startsWith("mm")) return { value, unit: `mm${suffix}` };
	return { value, unit: `px${suffix}` };
}

/** The readings of a measurement; empty while the engine has not computed them. */
export function readingsOf(tool: ToolId, stats: Stats, attributes: DataSet): Reading[] {
	const out: Reading[] = [];
	const unit = String(stats.unit ?? "");
	const distance = (name: string, value: unknown) => {
		if (isNumber(value)) out.push({ name, ...inMillimetres(value, unit, 1) });
	};
	const intensity = (name: string, value: unknown) => {
		if (isNumber(value)) out.push({ name, value, unit: valueUnit(attributes) });
	};
	if (tool === "length") distance("Length", stats.length);
	if (tool === "bidirectional") {
		distance("Long", stats.length);
		distance("Short", stats.width);
	}
	if (tool === "angle" && isNumber(stats.angle)) {
		out.push({ name: "Angle", value: stats.angle, unit: "\u00b0" });
	}
	if (tool === "ellipse" || tool === "rectangle") {
		if (isNumber(stats.area)) {
			out.push({ name: "Area", ...inMillimetres(stats.area, String(stats.areaUnit ?? ""), 2) });
		}
		intensity("Mean", stats.mean);
		intensity("SD", stats.stdDev);
		intensity("Min", stats.min);
		intensity("Max", stats.max);
	}
	if (tool === "probe") {
		intensity("Value", stats.value);
		if (stats.channels?.length === 3) {
			const names = ["Red", "Green", "Blue"];
			stats.channels.forEach(
				(value, at) => void out.push({ name: names[at] ?? "", value, unit: "" }),
			);
		}
	}
	return out;
}

function isNumber(value: unknown): value is number {
	return typeof value === "number" && Number.isFinite(value);
}

/** "pixel spacing: calibrated", … for readings that depend on it; "" where it goes without saying. */
export function spacingNote(readings: readonly Reading[], attributes: DataSet): string {
	const spatial = readings.some(({ unit }) => unit.startsWith("mm") || unit.startsWith("px"));
	if (!spatial) return "";
	const pixels = readings.some(({ unit }) => unit.startsWith("px"));
	const { source } = spacingOf(attributes);
	if (pixels) return SPACING_WORDS.none;
	return source === "patient" ? "" : SPACING_WORDS[source];
}

export function readingText({ value, unit }: Reading): string {
	const digits = unit === "HU" || Math.abs(value) >= 1000 ? 0 : 1;
	return `${figure(value, digits)}${unit === "\u00b0" ? unit : unit && `\u2009${unit}`}`;
}

/** Lines beside the drawing. */
export function readingLines(tool: ToolId, stats: Stats, attributes: DataSet): string[] {
	const readings = readingsOf(tool, stats, attributes);
	const note = spacingNote(readings, attributes);
	const single = readings.length === 1;
	return readings.map((reading, index) => {
		const words = single ? readingText(reading) : `${reading.name} ${readingText(reading)}`;
		return index === 0 && note ? `${words} (${note})` : words;
	});
}
