/** Places in an image as columns and rows, and as the engine's points in space. */

import { cross, type Vector } from "../model/geometry";
import type { Place } from "../model/drawing";
import { provideMetadata } from "./metadata-provider";

interface Plane {
	readonly origin: Vector;
	/** Along a row, one pixel long. */
	readonly column: Vector;
	/** Down a column, one pixel long. */
	readonly row: Vector;
	readonly frameOfReferenceUID: string;
	readonly normal: Vector;
	readonly up: Vector;
}

const times = ([x, y, z]: Vector, by: number): Vector => [x * by, y * by, z * by];

function vector(value: unknown): Vector {
	const [x = 0, y = 0, z = 0] = value as number[];
	return [x, y, z];
}

function planeOf(imageId: string): Plane | undefined {
	const module = provideMetadata("imagePlaneModule", imageId);
	if (!module) return undefined;
	const row = vector(module.rowCosines);
	const column = vector(module.columnCosines);
	return {
		origin: vector(module.imagePositionPatient),
		column: times(row, Number(module.columnPixelSpacing)),
		row: times(column, Number(module.rowPixelSpacing)),
		frameOfReferenceUID: String(module.frameOfReferenceUID),
		normal: cross(column, row),
		up: times(column, -1),
	};
}

/** How the engine refers to the plane of an image. */
export function viewOf(imageId: string) {
	const plane = planeOf(imageId);
	return (
		plane && {
			FrameOfReferenceUID: plane.frameOfReferenceUID,
			viewPlaneNormal: [...plane.normal] as [number, number, number],
			viewUp: [...plane.up] as [number, number, number],
			referencedImageId: imageId,
		}
	);
}

export function pointOf(imageId: string, [column, row]: Place): [number, number, number] {
	const plane = planeOf(imageId);
	if (!plane) return [0, 0, 0];
	return [0, 1, 2].map(
		(axis) =>
			(plane.origin[axis] ?? 0) + (plane.column[axis] ?? 0) * column + (plane.row[axis] ?? 0) * row,
	) as [number, number, number];
}

export function placeOf(imageId: string, point: ArrayLike<number>): Place {
	const plane = planeOf(imageId);
	if (!plane) return [0, 0];
	const from = [0, 1, 2].map((axis) => (point[axis] ?? 0) - (plane.origin[axis] ?? 0));
	const along = (direction: Vector) => {
		const length = direction.reduce((sum, each) => sum + each * each, 0);
		return direction.reduce((sum, each, axis) => sum + each * (from[axis] ?? 0), 0) / length;
	};
	return [along(plane.column), along(plane.row)];
}
