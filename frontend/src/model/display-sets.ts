/** What can be put into a viewport: a stack of frames, a report, a document, or a card. */

import { type DataSet, number, text } from "../dicomweb/dicom-json";
import { type Frame, framesOf, numberOfFrames } from "./frames";
import { sortInstances } from "./image-sort";
import { type Kind, sopClass } from "./sop-classes";
import { Tag } from "./tags";

export interface DisplaySet {
	readonly id: string;
	readonly studyInstanceUID: string;
	readonly seriesInstanceUID: string;
	readonly seriesNumber: number | undefined;
	readonly modality: string;
	readonly description: string;
	readonly kind: Kind;
	/** What the object is, in words. */
	readonly className: string;
	/** Frames in display order; empty unless `kind` is "image". */
	readonly frames: readonly Frame[];
	readonly instances: readonly DataSet[];
	readonly multiFrame: boolean;
	/** Whether all images of the series are in here. */
	readonly wholeSeries: boolean;
}

/** Servers may leave Pixel Data out of metadata, so the image's own description decides. */
function hasPixels(instance: DataSet): boolean {
	return [Tag.Rows, Tag.Columns, Tag.BitsAllocated].every(
		(tag) => number(instance, tag) !== undefined,
	);
}

function displaySet(
	instances: DataSet[],
	kind: Kind,
	className: string,
	multiFrame: boolean,
): Omit<DisplaySet, "wholeSeries"> {
	const first = instances[0] ?? {};
	return {
		id: `${text(first, Tag.SeriesInstanceUID)}/${text(first, Tag.SOPInstanceUID)}`,
		studyInstanceUID: text(first, Tag.StudyInstanceUID),
		seriesInstanceUID: text(first, Tag.SeriesInstanceUID),
		seriesNumber: number(first, Tag.SeriesNumber),
		modality: text(first, Tag.Modality),
		description:
			(kind === "document" ? text(first, Tag.DocumentTitle) : "") ||
			text(first, Tag.SeriesDescription) ||
			text(first, Tag.DocumentTitle) ||
			text(first, Tag.ProtocolName) ||
			text(first, Tag.ContentLabel),
		kind,
		className,
		frames: kind === "image" ? instances.flatMap(framesOf) : [],
		instances,
		multiFrame,
	};
}

/**
 * The display sets of one series: its single-frame images as one stack, each multi-frame instance
 * as a stack of its own, and every other object by itself.
 */
export function displaySetsOf(instances: readonly DataSet[]): DisplaySet[] {
	const stack: DataSet[] = [];
	const alone: Omit<DisplaySet, "wholeSeries">[] = [];
	for (const instance of sortInstances(instances)) {
		const pixels = hasPixels(instance);
		const { kind, name } = sopClass(text(instance, Tag.SOPClassUID), pixels);
		if (kind === "image" && pixels && numberOfFrames(instance) === 1) stack.push(instance);
		else if (kind === "image" && pixels) alone.push(displaySet([instance], kind, name, true));
		else alone.push(displaySet([instance], kind === "image" ? "other" : kind, name, false));
	}
	const sets = stack.length > 0 ? [displaySet(stack, "image", "Image", false), ...alone] : alone;
	const wholeSeries = sets.filter((set) => set.kind === "image").length === 1;
	return sets.map((set) => ({ ...set, wholeSeries: wholeSeries && set.kind === "image" }));
}

/** The frame shown first: the middle of a volume, the first of anything else. */
export function firstFrameIndex(set: DisplaySet): number {
	const volume = set.frames.length > 8 && ["CT", "MR", "PT", "NM"].includes(set.modality);
	return volume && !isCine(set) ? Math.floor(set.frames.length / 2) : 0;
}

function isCine(set: DisplaySet): boolean {
	return set.multiFrame && frameRate(set) !== undefined;
}

/** Frames per second as recorded (PS3.3 C.7.6.5), or undefined when nothing is. */
export function frameRate(set: DisplaySet): number | undefined {
	const instance = set.instances[0] ?? {};
	const frameTime = number(instance, Tag.FrameTime) ?? number(instance, Tag.FrameTimeVector);
	const rate =
		number(instance, Tag.RecommendedDisplayFrameRate) ??
		number(instance, Tag.CineRate) ??
		(frameTime && frameTime > 0 ? 1000 / frameTime : undefined);
	return rate !== undefined && rate > 0 ? Math.min(120, rate) : undefined;
}
