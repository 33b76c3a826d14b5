/** The order of images in a stack. */

import { type DataSet, number, text } from "../dicomweb/dicom-json";
import { orientationOf, parallel, slicePosition } from "./geometry";
import { Tag } from "./tags";

function byNumber(a: DataSet, b: DataSet): number {
	const difference =
		(number(a, Tag.AcquisitionNumber) ?? 0) - (number(b, Tag.AcquisitionNumber) ?? 0);
	const instance =
		(number(a, Tag.InstanceNumber) ?? Number.MAX_SAFE_INTEGER) -
		(number(b, Tag.InstanceNumber) ?? Number.MAX_SAFE_INTEGER);
	return (
		instance ||
		difference ||
		text(a, Tag.ContentTime).localeCompare(text(b, Tag.ContentTime)) ||
		text(a, Tag.SOPInstanceUID).localeCompare(text(b, Tag.SOPInstanceUID), "en", { numeric: true })
	);
}

/** Positions when the images are parallel slices, each at a place of its own; else undefined. */
function slicePositions(instances: readonly DataSet[]): Map<DataSet, number> | undefined {
	const first = instances[0] && orientationOf(instances[0]);
	if (!first || instances.length < 2) return undefined;
	const positions = new Map<DataSet, number>();
	for (const instance of instances) {
		const orientation = orientationOf(instance);
		const position = slicePosition(instance);
		if (!orientation || position === undefined || !parallel(first, orientation)) return undefined;
		positions.set(instance, position);
	}
	const sorted = [...positions.values()].sort((a, b) => a - b);
	const apart = sorted.every(
		(each, index) => index === 0 || each - (sorted[index - 1] ?? 0) > 0.01,
	);
	return apart ? positions : undefined;
}

/**
 * Parallel slices, each at its own place, are ordered by position, in the direction in which the
 * instance numbers run. Everything else (several phases or echoes at one place, projections,
 * mixed orientations) is ordered by Instance Number.
 */
export function sortInstances(instances: readonly DataSet[]): DataSet[] {
	const numbered = [...instances].sort(byNumber);
	const positions = slicePositions(numbered);
	if (!positions) return numbered;
	const place = (instance: DataSet) => positions.get(instance) ?? 0;
	const mean = (part: DataSet[]) => part.reduce((sum, each) => sum + place(each), 0) / part.length;
	const half = Math.ceil(numbered.length / 2);
	const ascending = mean(numbered.slice(0, half)) <= mean(numbered.slice(-half));
	return numbered.sort((a, b) => (ascending ? place(a) - place(b) : place(b) - place(a)));
}
