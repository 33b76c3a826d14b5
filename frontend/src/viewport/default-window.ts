/** The window of an image that brings none. */

import type { Types } from "@cornerstonejs/core";
import { type DataSet, items, number, numbers } from "../dicomweb/dicom-json";
import { Tag } from "../model/tags";

/** Lowest and highest value, padding left out (PS3.3 C.7.5.1.1.2). */
export function valueRange(
	values: ArrayLike<number>,
	padding: readonly [number, number] | undefined,
): readonly [number, number] | undefined {
	let low = Number.POSITIVE_INFINITY;
	let high = Number.NEGATIVE_INFINITY;
	for (let index = 0; index < values.length; index += 1) {
		const value = values[index] ?? 0;
		if (padding && value >= padding[0] && value <= padding[1]) continue;
		if (value < low) low = value;
		if (value > high) high = value;
	}
	return low <= high ? [low, high] : undefined;
}

/** Padding in output units of the modality LUT, lower bound first; undefined when there is none. */
export function paddingRange(attributes: DataSet): readonly [number, number] | undefined {
	const value = number(attributes, Tag.PixelPaddingValue);
	if (value === undefined) return undefined;
	const limit = number(attributes, Tag.PixelPaddingRangeLimit) ?? value;
	const slope = number(attributes, Tag.RescaleSlope) ?? 1;
	const intercept = number(attributes, Tag.RescaleIntercept) ?? 0;
	const [a, b] = [value * slope + intercept, limit * slope + intercept];
	return a <= b ? [a, b] : [b, a];
}

/** Input range of the first VOI LUT; the window that shows all of it. */
function lutRange(attributes: DataSet): readonly [number, number] | undefined {
	const lut = items(attributes, Tag.VOILUTSequence)[0];
	const [entries, first] = lut ? numbers(lut, Tag.LUTDescriptor) : [];
	if (entries === undefined || first === undefined) return undefined;
	return [first, first + (entries === 0 ? 65536 : entries) - 1];
}

/** Sets the image's window from its VOI LUT's range, else from its values, when it has none. */
export function setDefaultWindow(image: Types.IImage, attributes: DataSet): void {
	const widths = numbers(attributes, Tag.WindowWidth);
	const recorded = numbers(attributes, Tag.WindowCenter).length > 0 && (widths[0] ?? 0) > 0;
	if (image.color || recorded) return;
	const range = lutRange(attributes) ?? valueRange(image.getPixelData(), paddingRange(attributes));
	if (!range) return;
	image.windowWidth = Math.max(1, range[1] - range[0] + 1);
	image.windowCenter = (range[0] + range[1] + 1) / 2;
}
