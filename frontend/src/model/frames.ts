/** One frame of an instance with the attributes that hold for this very frame. */

import { type DataSet, items, number, text } from "../dicomweb/dicom-json";
import { Tag } from "./tags";

export interface Frame {
	readonly studyInstanceUID: string;
	readonly seriesInstanceUID: string;
	readonly sopInstanceUID: string;
	/** From 1, as WADO-RS counts. */
	readonly frameNumber: number;
	/** Attributes of the instance with the functional groups of this frame laid over them. */
	readonly attributes: DataSet;
}

export function numberOfFrames(instance: DataSet): number {
	const stated = number(instance, Tag.NumberOfFrames);
	return stated !== undefined && stated >= 1 ? Math.floor(stated) : 1;
}

/**
 * Per-frame functional groups override shared ones, and both override the top level (PS3.3
 * C.7.6.16). Every macro is a sequence of one item; its attributes are lifted out.
 */
export function frameAttributes(instance: DataSet, frameNumber: number): DataSet {
	const shared = items(instance, Tag.SharedFunctionalGroupsSequence)[0];
	const own = items(instance, Tag.PerFrameFunctionalGroupsSequence)[frameNumber - 1];
	if (!shared && !own) return instance;
	const merged: Record<string, DataSet[string]> = { ...instance };
	delete merged[Tag.PerFrameFunctionalGroupsSequence];
	for (const group of [shared, own]) {
		for (const tag of Object.keys(group ?? {})) {
			const macro = items(group ?? {}, tag)[0];
			// A macro that describes another instance must not rename this one.
			if (macro && !macro[Tag.SOPInstanceUID]) Object.assign(merged, macro);
		}
	}
	return merged;
}

/** The frames of an instance; functional groups are merged when a frame is first asked for. */
export function framesOf(instance: DataSet): Frame[] {
	const studyInstanceUID = text(instance, Tag.StudyInstanceUID);
	const seriesInstanceUID = text(instance, Tag.SeriesInstanceUID);
	const sopInstanceUID = text(instance, Tag.SOPInstanceUID);
	return Array.from({ length: numberOfFrames(instance) }, (_, index) => {
		let merged: DataSet | undefined;
		return {
			studyInstanceUID,
			seriesInstanceUID,
			sopInstanceUID,
			frameNumber: index + 1,
			get attributes() {
				merged ??= frameAttributes(instance, index + 1);
				return merged;
			},
		};
	});
}
