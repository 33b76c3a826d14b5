/** Answers the engine's questions about an image from the same frame the overlay is built from. */

import { type DataSet, items, number, numbers, text } from "../dicomweb/dicom-json";
import { orientationOf, positionOf } from "../model/geometry";
import { spacingOf } from "../model/spacing";
import { Tag } from "../model/tags";
import { frameOfImageId } from "./image-id";
import { modalityTable } from "./lookup-tables";
import { type Palette, paletteOf } from "./palette";
import { isRescaledHere, isShifted, storedBits } from "./stored-bits";

const palettes = new Map<string, Palette>();

/** Reads the palette of an instance, once; it may have to be fetched. */
export async function readPalette(instance: DataSet): Promise<void> {
	const uid = text(instance, Tag.SOPInstanceUID);
	if (palettes.has(uid)) return;
	const palette = await paletteOf(instance);
	if (palette) palettes.set(uid, palette);
}

type Module = Record<string, unknown>;

function imagePixel(attributes: DataSet): Module {
	const bits = storedBits(attributes);
	const palette = palettes.get(text(attributes, Tag.SOPInstanceUID));
	return {
		samplesPerPixel: number(attributes, Tag.SamplesPerPixel) ?? 1,
		photometricInterpretation: text(attributes, Tag.PhotometricInterpretation) || "MONOCHROME2",
		planarConfiguration: number(attributes, Tag.PlanarConfiguration) ?? 0,
		rows: number(attributes, Tag.Rows),
		columns: number(attributes, Tag.Columns),
		bitsAllocated: bits.allocated,
		bitsStored: isShifted(bits) ? bits.allocated : bits.stored,
		highBit: isShifted(bits) ? bits.allocated - 1 : bits.highBit,
		pixelRepresentation: number(attributes, Tag.PixelRepresentation) ?? 0,
		...(palette && {
			redPaletteColorLookupTableDescriptor: palette.descriptor,
			greenPaletteColorLookupTableDescriptor: palette.descriptor,
			bluePaletteColorLookupTableDescriptor: palette.descriptor,
			redPaletteColorLookupTableData: palette.red,
			greenPaletteColorLookupTableData: palette.green,
			bluePaletteColorLookupTableData: palette.blue,
		}),
	};
}

/** Pixels that are not square still have to look right when nothing gives millimetres. */
function aspect(attributes: DataSet): readonly [number, number] {
	const [vertical = 1, horizontal = 1] = numbers(attributes, Tag.PixelAspectRatio);
	return vertical > 0 && horizontal > 0 ? [vertical / horizontal, 1] : [1, 1];
}

function imagePlane(attributes: DataSet): Module {
	const orientation = orientationOf(attributes);
	const spacing = spacingOf(attributes);
	const known = spacing.row !== undefined && spacing.column !== undefined;
	const [row, column] = known ? [spacing.row, spacing.column] : aspect(attributes);
	const rowCosines = orientation?.row ?? [1, 0, 0];
	const columnCosines = orientation?.column ?? [0, 1, 0];
	return {
		frameOfReferenceUID:
			text(attributes, Tag.FrameOfReferenceUID) || text(attributes, Tag.SeriesInstanceUID),
		rows: number(attributes, Tag.Rows),
		columns: number(attributes, Tag.Columns),
		imageOrientationPatient: [...rowCosines, ...columnCosines],
		rowCosines,
		columnCosines,
		imagePositionPatient: positionOf(attributes) ?? [0, 0, 0],
		sliceThickness: number(attributes, Tag.SliceThickness),
		sliceLocation: number(attributes, Tag.SliceLocation),
		pixelSpacing: [row, column],
		rowPixelSpacing: row,
		columnPixelSpacing: column,
		// Without a source the engine must measure in pixels.
		usingDefaultValues: !known,
	};
}

/**
 * Colours have no modality LUT, whatever the header says (PS3.3 C.11.1). A lookup table takes the
 * place of slope and intercept, and some images are rescaled when they have arrived.
 */
function modalityLut(attributes: DataSet): Module {
	const monochrome = text(attributes, Tag.PhotometricInterpretation).startsWith("MONOCHROME");
	if (!monochrome || modalityTable(attributes) || isRescaledHere(attributes)) {
		return { rescaleIntercept: 0, rescaleSlope: 1 };
	}
	return {
		rescaleIntercept: number(attributes, Tag.RescaleIntercept) ?? 0,
		rescaleSlope: (number(attributes, Tag.RescaleSlope) ?? 1) || 1,
		rescaleType: text(attributes, Tag.RescaleType),
	};
}

const REGION_FIELDS: readonly (readonly [string, string])[] = [
	["regionSpatialFormat", Tag.RegionSpatialFormat],
	["regionDataType", Tag.RegionDataType],
	["regionLocationMinX0", Tag.RegionLocationMinX0],
	["regionLocationMinY0", Tag.RegionLocationMinY0],
	["regionLocationMaxX1", Tag.RegionLocationMaxX1],
	["regionLocationMaxY1", Tag.RegionLocationMaxY1],
	["physicalUnitsXDirection", Tag.PhysicalUnitsXDirection],
	["physicalUnitsYDirection", Tag.PhysicalUnitsYDirection],
	["physicalDeltaX", Tag.PhysicalDeltaX],
	["physicalDeltaY", Tag.PhysicalDeltaY],
	["referencePixelX0", Tag.ReferencePixelX0],
	["referencePixelY0", Tag.ReferencePixelY0],
];

function calibration(attributes: DataSet): Module {
	const regions = items(attributes, Tag.SequenceOfUltrasoundRegions);
	if (regions.length === 0) return {};
	return {
		sequenceOfUltrasoundRegions: regions.map((region) =>
			Object.fromEntries(REGION_FIELDS.map(([name, tag]) => [name, number(region, tag)])),
		),
	};
}

const MODULES: Readonly<Record<string, (attributes: DataSet) => Module>> = {
	imagePixelModule: imagePixel,
	imagePlaneModule: imagePlane,
	// The way to grey is worked out from the image's own attributes when it has arrived.
	voiLutModule: () => ({}),
	modalityLutModule: modalityLut,
	calibrationModule: calibration,
	generalSeriesModule: (attributes) => ({
		modality: text(attributes, Tag.Modality),
		seriesInstanceUID: text(attributes, Tag.SeriesInstanceUID),
		studyInstanceUID: text(attributes, Tag.StudyInstanceUID),
		seriesNumber: number(attributes, Tag.SeriesNumber),
	}),
	sopCommonModule: (attributes) => ({
		sopClassUID: text(attributes, Tag.SOPClassUID),
		sopInstanceUID: text(attributes, Tag.SOPInstanceUID),
	}),
	// Values stay in the units of the file; nothing is turned into SUV behind the reader's back.
	scalingModule: () => ({}),
	transferSyntax: () => ({}),
};

const made = new Map<string, Module>();

/** The engine's metadata provider; undefined for what it does not know. */
export function provideMetadata(type: string, imageId: unknown): Module | undefined {
	const make = MODULES[type];
	if (!make || typeof imageId !== "string") return undefined;
	const key = `${type} ${imageId}`;
	const known = made.get(key);
	if (known) return known;
	const frame = frameOfImageId(imageId);
	if (!frame) return undefined;
	const module = make(frame.attributes);
	made.set(key, module);
	return module;
}

/** Forgets everything; for leaving a study. */
export function forgetMetadata(): void {
	made.clear();
	palettes.clear();
}
