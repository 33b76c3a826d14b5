/** Positions and directions in the patient (PS3.3 C.7.6.2.1.1): x to the left, y to the back, z up. */

import { type DataSet, numbers, texts } from "../dicomweb/dicom-json";
import { Tag } from "./tags";

export type Vector = readonly [number, number, number];

export interface Orientation {
	/** Direction in which columns run along a row, to the image's right. */
	row: Vector;
	/** Direction in which rows run down a column. */
	column: Vector;
}

const vector = (values: number[]): Vector => [values[0] ?? 0, values[1] ?? 0, values[2] ?? 0];
const dot = (a: Vector, b: Vector) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

export function cross(a: Vector, b: Vector): Vector {
	return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

/** Image Orientation (Patient), or undefined when it is absent or no pair of unit vectors. */
export function orientationOf(attributes: DataSet): Orientation | undefined {
	const values = numbers(attributes, Tag.ImageOrientationPatient);
	if (values.length !== 6) return undefined;
	const row = vector(values.slice(0, 3));
	const column = vector(values.slice(3, 6));
	const unit = [row, column].every((each) => Math.abs(Math.hypot(...each) - 1) < 0.02);
	return unit && Math.abs(dot(row, column)) < 0.02 ? { row, column } : undefined;
}

export function positionOf(attributes: DataSet): Vector | undefined {
	const values = numbers(attributes, Tag.ImagePositionPatient);
	return values.length === 3 ? vector(values) : undefined;
}

/** Distance of the slice from the origin along its own normal, in mm. */
export function slicePosition(attributes: DataSet): number | undefined {
	const orientation = orientationOf(attributes);
	const position = positionOf(attributes);
	if (!orientation || !position) return undefined;
	return dot(position, cross(orientation.row, orientation.column));
}

export function parallel(a: Orientation, b: Orientation): boolean {
	return dot(a.row, b.row) > 0.999 && dot(a.column, b.column) > 0.999;
}

/** axial, coronal or sagittal, with "oblique" when the slice leans by more than 15 degrees. */
export function planeName(orientation: Orientation): string {
	const normal = cross(orientation.row, orientation.column).map(Math.abs);
	const largest = Math.max(...normal);
	const name = ["sagittal", "coronal", "axial"][normal.indexOf(largest)] ?? "";
	return largest < Math.cos(Math.PI / 12) ? `oblique ${name}` : name;
}

const LETTERS: readonly (readonly [string, string])[] = [
	["L", "R"],
	["P", "A"],
	["H", "F"],
];

/** Where a direction points: up to two letters, the larger component first. */
export function directionLetters(direction: Vector): string {
	return [0, 1, 2]
		.filter((axis) => Math.abs(direction[axis] ?? 0) > 0.25)
		.sort((a, b) => Math.abs(direction[b] ?? 0) - Math.abs(direction[a] ?? 0))
		.slice(0, 2)
		.map((axis) => LETTERS[axis]?.[(direction[axis] ?? 0) > 0 ? 0 : 1] ?? "")
		.join("");
}

export interface Edges {
	top: string;
	right: string;
	bottom: string;
	left: string;
}

const negative = (v: Vector): Vector => [-v[0], -v[1], -v[2]];

/** Letters at the four edges for the directions in which the screen's right and down point. */
export function edgeLetters(right: Vector, down: Vector): Edges {
	return {
		top: directionLetters(negative(down)),
		right: directionLetters(right),
		bottom: directionLetters(down),
		left: directionLetters(negative(right)),
	};
}

const OPPOSITE: Readonly<Record<string, string>> = {
	L: "R",
	R: "L",
	A: "P",
	P: "A",
	H: "F",
	F: "H",
};

/**
 * Letters from Patient Orientation (0020,0020), for projections that have no position in the
 * patient. `right` and `down` are the screen's directions in image axes (x along a row, y down).
 */
export function edgeLettersOfProjection(
	attributes: DataSet,
	right: Vector,
	down: Vector,
): Edges | undefined {
	const [row, column] = texts(attributes, Tag.PatientOrientation);
	if (!row || !column) return undefined;
	const opposite = (letters: string) =>
		[...letters].map((letter) => OPPOSITE[letter] ?? letter).join("");
	const named = (direction: Vector): string => {
		const along = Math.abs(direction[0]) >= Math.abs(direction[1]) ? row : column;
		const sign = Math.abs(direction[0]) >= Math.abs(direction[1]) ? direction[0] : direction[1];
		return sign >= 0 ? along : opposite(along);
	};
	return {
		top: named(negative(down)),
		right: named(right),
		bottom: named(down),
		left: named(negative(right)),
	};
}
