/** Measurements as plain data, apart from how the engine draws them. */

import { annotation, Enums } from "@cornerstonejs/tools";
import type { Drawing } from "../model/drawing";
import { frameOfImageId } from "../viewport/image-id";
import { onEngineEvent } from "../viewport/engine-events";
import { type Reading, readingsOf, spacingNote } from "./readings";
import { statsOf } from "./stats";
import { type ToolId, toolOfEngineName } from "./tool-table";

export interface Measurement {
	readonly id: string;
	readonly tool: ToolId;
	readonly label: string;
	readonly text: string;
	readonly readings: readonly Reading[];
	/** What the millimetres rest on; "" where nothing has to be said. */
	readonly note: string;
	readonly seriesInstanceUID: string;
	readonly sopInstanceUID: string;
	readonly frameNumber: number;
	readonly selected: boolean;
}

/** The part of the engine's annotation we read. */
export interface Drawn {
	annotationUID?: string | undefined;
	isSelected?: boolean | undefined;
	metadata?: { toolName?: string; referencedImageId?: string } | undefined;
	data?: { text?: unknown; label?: unknown; cachedStats?: Record<string, unknown> } | undefined;
}

const remembered = new Map<string, Pick<Drawing, "readings" | "note">>();

/** Numbers of a drawing that was kept, until its image has been on the screen. */
export function rememberReadings({ id, readings, note }: Drawing): void {
	remembered.set(id, { readings, note });
}

export function measurementOf(drawn: Drawn): Measurement | undefined {
	const row = toolOfEngineName(drawn.metadata?.toolName ?? "");
	const imageId = drawn.metadata?.referencedImageId ?? "";
	const frame = frameOfImageId(imageId);
	if (!row?.measures || !frame || !drawn.annotationUID) return undefined;
	const stats = statsOf(row.id, Object.values(drawn.data?.cachedStats ?? {})[0], imageId);
	const computed = readingsOf(row.id, stats, frame.attributes);
	const kept = computed.length > 0 ? undefined : remembered.get(drawn.annotationUID);
	const readings = kept?.readings ?? computed;
	return {
		id: drawn.annotationUID,
		tool: row.id,
		label: row.label,
		text: String(drawn.data?.text || drawn.data?.label || ""),
		readings,
		note: kept?.note ?? spacingNote(readings, frame.attributes),
		seriesInstanceUID: frame.seriesInstanceUID,
		sopInstanceUID: frame.sopInstanceUID,
		frameNumber: frame.frameNumber,
		selected: drawn.isSelected ?? false,
	};
}

let snapshot: readonly Measurement[] = [];
const listeners = new Set<() => void>();
let scheduled = false;

function refresh(): void {
	if (scheduled) return;
	scheduled = true;
	requestAnimationFrame(() => {
		scheduled = false;
		snapshot = annotation.state
			.getAllAnnotations()
			.flatMap((drawn) => measurementOf(drawn as unknown as Drawn) ?? []);
		for (const listener of listeners) listener();
	});
}

/** All measurements of the open study, in the order they were drawn. */
export function measurements(): readonly Measurement[] {
	return snapshot;
}

export function subscribeMeasurements(listener: () => void): () => void {
	listeners.add(listener);
	return () => listeners.delete(listener);
}

const finished = new Set<string>();

/** Ids of drawings that were drawn to their end. */
export function finishedIds(): ReadonlySet<string> {
	return new Set(finished);
}

/** A drawing that came from a draft is finished, too. */
export function noteFinished(id: string): void {
	finished.add(id);
}

export function watchMeasurements(): void {
	const { Events } = Enums;
	onEngineEvent(Events.ANNOTATION_COMPLETED, (event) => {
		const { annotation: drawn } = (event as CustomEvent<{ annotation: Drawn }>).detail;
		if (drawn.annotationUID) finished.add(drawn.annotationUID);
	});
	for (const name of [
		Events.ANNOTATION_ADDED,
		Events.ANNOTATION_COMPLETED,
		Events.ANNOTATION_MODIFIED,
		Events.ANNOTATION_REMOVED,
		Events.ANNOTATION_SELECTION_CHANGE,
	]) {
		onEngineEvent(name, refresh);
	}
}

/** Ids of the selected measurements. */
export function selectedMeasurements(): string[] {
	return annotation.selection.getAnnotationsSelected();
}

export function selectMeasurement(id: string): void {
	annotation.selection.setAnnotationSelected(id, true, false);
}

/** Forgets all; for leaving a study. */
export function forgetMeasurements(): void {
	annotation.state.removeAllAnnotations();
	remembered.clear();
	finished.clear();
	refresh();
}
