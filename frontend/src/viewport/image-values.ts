/** What is put right in an image when it has arrived, before it is drawn or measured. */

import { type Types, utilities } from "@cornerstonejs/core";
import { type DataSet, number, text } from "../dicomweb/dicom-json";
import { lookAll } from "../model/lookup-table";
import { Tag } from "../model/tags";
import { rangeOf, voiAlternatives } from "../model/voi";
import { defaultRange } from "./default-window";
import { modalityTable, voiTables } from "./lookup-tables";
import { cleanValues, isRescaledHere, storedBits } from "./stored-bits";
import { rgbOfYbr422 } from "./ybr";

type Values = Uint8Array | Uint16Array | Int16Array | Float32Array;

/** Gives the image other values, of the same size. */
function replaceValues(image: Types.IImage, values: Values, components = 1): void {
	image.voxelManager = utilities.VoxelManager.createImageVoxelManager({
		scalarData: values,
		width: image.columns,
		height: image.rows,
		numberOfComponents: components,
	}) as Types.IImage["voxelManager"];
	image.getPixelData = () => values;
	image.sizeInBytes = values.byteLength;
	image.dataType = values.constructor.name as Types.IImage["dataType"];
	if (image.imageFrame) {
		Object.assign(image.imageFrame, { pixelData: values, pixelDataLength: values.length });
	}
}

/** Uncompressed YBR_FULL_422 still holds two bytes a pixel, which the loader takes for RGB. */
function convertYbr422(image: Types.IImage, attributes: DataSet): void {
	if (text(attributes, Tag.PhotometricInterpretation) !== "YBR_FULL_422") return;
	const stored = image.getPixelData();
	if (stored.length !== image.rows * image.columns * 2) return;
	const channels = image.rgba ? 4 : 3;
	replaceValues(image, new Uint8Array(rgbOfYbr422(stored, channels).buffer), channels);
}

/** Stray bits out, then the modality LUT where the image has one (PS3.3 C.11.1). */
function convertGrey(image: Types.IImage, attributes: DataSet): void {
	const table = modalityTable(attributes);
	const decoded = {
		values: image.getPixelData(),
		highest: image.maxPixelValue,
		lowest: image.minPixelValue,
		rescaled: table !== undefined || !isRescaledHere(attributes),
		slope: table ? 1 : (number(attributes, Tag.RescaleSlope) ?? 1) || 1,
		intercept: table ? 0 : (number(attributes, Tag.RescaleIntercept) ?? 0),
	};
	const clean = cleanValues(decoded, storedBits(attributes));
	if (clean) replaceValues(image, clean);
	if (table) replaceValues(image, lookAll(table, image.getPixelData()));
}

/**
 * The engine knows only straight lines; it gets the range over which the first way to grey of the
 * image is stretched, so that its own idea of a reset is ours.
 */
function setRange(image: Types.IImage, attributes: DataSet): void {
	const first = voiAlternatives(attributes, voiTables(attributes))[0];
	const range = first ? rangeOf(first) : defaultRange(image.getPixelData(), attributes);
	image.windowWidth = range.upper - range.lower + 1;
	image.windowCenter = (range.upper + range.lower + 1) / 2;
	image.voiLUTFunction = "LINEAR" as Types.IImage["voiLUTFunction"];
}

/** Called once for each image, as it enters the cache. */
export function putRight(image: Types.IImage, attributes: DataSet): void {
	convertYbr422(image, attributes);
	if (image.color) return;
	convertGrey(image, attributes);
	setRange(image, attributes);
}
