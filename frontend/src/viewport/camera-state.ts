/** From the engine's camera to what is written at the edges and in the corners. */

import { type Types, utilities } from "@cornerstonejs/core";
import type { Frame } from "../model/frames";
import {
	cross,
	edgeLetters,
	edgeLettersOfProjection,
	orientationOf,
	type Vector,
} from "../model/geometry";
import { spacingOf } from "../model/spacing";
import type { ViewState } from "./view-state";

type CameraState = Pick<
	ViewState,
	"rotation" | "flippedHorizontally" | "flippedVertically" | "zoom" | "mmPerPixel" | "edges"
>;

const vector = (values: ArrayLike<number>): Vector => [
	values[0] ?? 0,
	values[1] ?? 0,
	values[2] ?? 0,
];

/** World units that one CSS pixel covers, measured along the screen's x axis. */
function worldPerPixel(viewport: Types.IStackViewport): number | undefined {
	const a = viewport.canvasToWorld([0, 0]);
	const b = viewport.canvasToWorld([100, 0]);
	const length = Math.hypot(b[0] - a[0], b[1] - a[1], b[2] - a[2]) / 100;
	return Number.isFinite(length) && length > 0 ? length : undefined;
}

export function cameraState(viewport: Types.IStackViewport, frame: Frame): CameraState {
	const { viewUp, viewPlaneNormal, flipHorizontal, flipVertical } = viewport.getCamera();
	const spacing = spacingOf(frame.attributes);
	const perPixel = worldPerPixel(viewport);
	const pixelWidth = spacing.column ?? 1;
	const rotation = Math.round(viewport.getViewPresentation().rotation ?? 0) % 360;
	let edges: CameraState["edges"];
	if (viewUp && viewPlaneNormal) {
		const up = vector(viewUp);
		const right = cross(up, vector(viewPlaneNormal));
		const down: Vector = [-up[0], -up[1], -up[2]];
		edges = orientationOf(frame.attributes)
			? edgeLetters(right, down)
			: edgeLettersOfProjection(frame.attributes, right, down);
	}
	return {
		rotation,
		flippedHorizontally: flipHorizontal ?? false,
		flippedVertically: flipVertical ?? false,
		zoom: perPixel && pixelWidth / perPixel,
		mmPerPixel: spacing.column === undefined ? undefined : perPixel,
		edges,
	};
}

/** Column and row of the image under a place on the viewport's canvas, in CSS pixels. */
export function imagePlace(
	viewport: Types.IStackViewport,
	x: number,
	y: number,
): readonly [number, number] {
	const { imageData } = viewport.getImageData();
	const index = utilities.transformWorldToIndexContinuous(
		imageData,
		viewport.canvasToWorld([x, y]),
	);
	return [index[0] ?? 0, index[1] ?? 0];
}
