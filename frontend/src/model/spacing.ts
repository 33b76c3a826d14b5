/** What a millimetre is on this image, and how we know (PS3.3 10.7.1.3). */

import { type DataSet, items, number, numbers, text } from "../dicomweb/dicom-json";
import { Tag } from "./tags";

export type SpacingSource = "patient" | "calibrated" | "imager" | "scanned" | "region" | "none";

export interface Spacing {
	/** mm between rows; undefined without a source. */
	readonly row: number | undefined;
	/** mm between columns. */
	readonly column: number | undefined;
	readonly source: SpacingSource;
}

/** How a measurement and the overlay name the source. */
export const SPACING_WORDS: Readonly<Record<SpacingSource, string>> = {
	patient: "pixel spacing",
	calibrated: "pixel spacing: calibrated",
	imager: "pixel spacing: imager",
	scanned: "pixel spacing: scanned film",
	region: "ultrasound region",
	none: "pixel spacing: none",
};

const PROJECTION = new Set(["CR", "DX", "MG", "RF", "XA", "RG", "IO", "PX", "RTIMAGE"]);
const NONE: Spacing = { row: undefined, column: undefined, source: "none" };
const CENTIMETRES = 3;

function pair(attributes: DataSet, tag: string): readonly [number, number] | undefined {
	const [row, column] = numbers(attributes, tag);
	return row !== undefined && column !== undefined && row > 0 && column > 0
		? [row, column]
		: undefined;
}

function ofRegions(regions: DataSet[]): Spacing {
	const spatial = regions.filter(
		(region) =>
			number(region, Tag.PhysicalUnitsXDirection) === CENTIMETRES &&
			number(region, Tag.PhysicalUnitsYDirection) === CENTIMETRES,
	);
	const deltas = spatial.map((region) => [
		Math.abs(number(region, Tag.PhysicalDeltaY) ?? 0) * 10,
		Math.abs(number(region, Tag.PhysicalDeltaX) ?? 0) * 10,
	]);
	const [row = 0, column = 0] = deltas[0] ?? [];
	const alike = deltas.every(
		(each) => Math.abs((each[0] ?? 0) - row) < 1e-6 && Math.abs((each[1] ?? 0) - column) < 1e-6,
	);
	return alike && row > 0 && column > 0 ? { row, column, source: "region" } : NONE;
}

/**
 * Ultrasound regions first, where there are any. In a projection Pixel Spacing says calibrated
 * when it differs from the detector's or names its calibration; Imager Pixel Spacing alone is the
 * size at the detector. Without any of them there are no millimetres.
 */
export function spacingOf(attributes: DataSet): Spacing {
	const regions = items(attributes, Tag.SequenceOfUltrasoundRegions);
	if (regions.length > 0) return ofRegions(regions);
	const pixel = pair(attributes, Tag.PixelSpacing);
	const imager = pair(attributes, Tag.ImagerPixelSpacing);
	const projection = PROJECTION.has(text(attributes, Tag.Modality)) || imager !== undefined;
	if (pixel && !projection) return { row: pixel[0], column: pixel[1], source: "patient" };
	if (pixel) {
		const same =
			imager !== undefined &&
			Math.abs(imager[0] - pixel[0]) < 1e-4 &&
			Math.abs(imager[1] - pixel[1]) < 1e-4;
		const stated = text(attributes, Tag.PixelSpacingCalibrationType) !== "";
		const calibrated = stated || (imager !== undefined && !same);
		return { row: pixel[0], column: pixel[1], source: calibrated ? "calibrated" : "imager" };
	}
	if (imager) return { row: imager[0], column: imager[1], source: "imager" };
	const scanned = pair(attributes, Tag.NominalScannedPixelSpacing);
	return scanned ? { row: scanned[0], column: scanned[1], source: "scanned" } : NONE;
}
