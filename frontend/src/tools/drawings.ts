/** Measurements between the engine and a draft: read off what is drawn, drawn from what was kept. */

import { annotation } from "@cornerstonejs/tools";
import type { Drawing } from "../model/drawing";
import { frameOfImageId } from "../viewport/image-id";
import { placeOf, pointOf, viewOf } from "../viewport/image-place";
import { type Drawn, measurementOf, noteFinished, rememberReadings } from "./measurements";
import { TOOLS } from "./tool-table";

type Point = [number, number, number];
type Annotation = Parameters<typeof annotation.state.addAnnotation>[0];

interface Handles {
	readonly points?: readonly Point[];
	readonly textBox?: { readonly hasMoved?: boolean; readonly worldPosition?: Point };
}

function drawingOf(drawn: Drawn): Drawing | undefined {
	const measurement = measurementOf(drawn);
	const imageId = drawn.metadata?.referencedImageId;
	const handles = (drawn.data as { handles?: Handles } | undefined)?.handles;
	if (!measurement || !imageId || !handles?.points?.length) return undefined;
	const { textBox } = handles;
	return {
		id: measurement.id,
		tool: measurement.tool,
		seriesInstanceUID: measurement.seriesInstanceUID,
		sopInstanceUID: measurement.sopInstanceUID,
		frameNumber: measurement.frameNumber,
		points: handles.points.map((point) => placeOf(imageId, point)),
		labelAt:
			textBox?.hasMoved && textBox.worldPosition
				? placeOf(imageId, textBox.worldPosition)
				: undefined,
		text: measurement.text,
		note: measurement.note,
		readings: measurement.readings.map(({ name, value, unit }) => ({ name, value, unit })),
	};
}

/** Everything that is drawn. */
export function drawings(): Drawing[] {
	return annotation.state
		.getAllAnnotations()
		.flatMap((drawn) => drawingOf(drawn as unknown as Drawn) ?? []);
}

/** Draws what was kept, in place of what has the same id; false when its image is not known here. */
export function draw(drawing: Drawing, imageId: string): boolean {
	const engineName = TOOLS.find((row) => row.measures && row.id === drawing.tool)?.engineName;
	const view = viewOf(imageId);
	if (!engineName || !view || !frameOfImageId(imageId)) return false;
	erase(drawing.id);
	rememberReadings(drawing);
	noteFinished(drawing.id);
	const nowhere: Point = [0, 0, 0];
	const label = drawing.labelAt && pointOf(imageId, drawing.labelAt);
	annotation.state.addAnnotation(
		{
			annotationUID: drawing.id,
			highlighted: false,
			isLocked: false,
			isVisible: true,
			// The engine works out the numbers again when it first draws it.
			invalidated: true,
			metadata: { toolName: engineName, ...view },
			data: {
				label: drawing.tool === "arrow" ? drawing.text : "",
				text: drawing.text,
				cachedStats: {},
				handles: {
					points: drawing.points.map((place) => pointOf(imageId, place)),
					activeHandleIndex: null,
					arrowFirst: true,
					textBox: {
						hasMoved: label !== undefined,
						worldPosition: label ?? nowhere,
						worldBoundingBox: {
							topLeft: nowhere,
							topRight: nowhere,
							bottomLeft: nowhere,
							bottomRight: nowhere,
						},
					},
				},
			},
		} as unknown as Annotation,
		view.FrameOfReferenceUID,
	);
	return true;
}

/** Takes a drawing away, not to be brought back by undo: another window deleted it. */
export function erase(id: string): void {
	if (annotation.state.getAnnotation(id)) annotation.state.removeAnnotation(id);
}
