/** Drawings as the REST API spells them, and back. */

import type { WireMeasurement } from "../../dicomweb/measurements";
import type { Drawing, Place } from "../../model/drawing";

const pair = ([column, row]: Place): [number, number] => [column, row];

export function wireOf(drawing: Drawing): WireMeasurement {
	return {
		id: drawing.id,
		tool: drawing.tool,
		series_instance_uid: drawing.seriesInstanceUID,
		sop_instance_uid: drawing.sopInstanceUID,
		frame_number: drawing.frameNumber,
		points: drawing.points.map(pair),
		label_at: drawing.labelAt ? pair(drawing.labelAt) : null,
		text: drawing.text,
		note: drawing.note,
		readings: drawing.readings.map((reading) => ({ ...reading })),
	};
}

export function drawingOfWire(wire: WireMeasurement): Drawing {
	return {
		id: wire.id,
		tool: wire.tool,
		seriesInstanceUID: wire.series_instance_uid,
		sopInstanceUID: wire.sop_instance_uid,
		frameNumber: wire.frame_number,
		points: wire.points,
		labelAt: wire.label_at ?? undefined,
		text: wire.text,
		note: wire.note,
		readings: wire.readings,
	};
}
