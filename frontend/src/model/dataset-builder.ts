/** Data sets for tests, by keyword. */

import type { DataSet } from "../dicomweb/dicom-json";
import { Tag } from "./tags";

type Value = string | number | readonly (string | number)[] | DataSet[];

export function dataSet(values: Partial<Record<keyof typeof Tag, Value>>): DataSet {
	return Object.fromEntries(
		Object.entries(values).map(([keyword, value]) => [
			Tag[keyword as keyof typeof Tag],
			{ vr: "UN", Value: Array.isArray(value) ? [...value] : [value] },
		]),
	);
}

export const AXIAL = [1, 0, 0, 0, 1, 0] as const;

export function slice(
	number: number,
	z: number,
	more: Parameters<typeof dataSet>[0] = {},
): DataSet {
	return dataSet({
		SOPInstanceUID: `1.2.${number}`,
		SOPClassUID: "1.2.840.10008.5.1.4.1.1.2",
		SeriesInstanceUID: "1.1",
		StudyInstanceUID: "1",
		Modality: "CT",
		InstanceNumber: number,
		ImageOrientationPatient: AXIAL,
		ImagePositionPatient: [0, 0, z],
		Rows: 2,
		Columns: 2,
		BitsAllocated: 16,
		...more,
	});
}
