/** Image ids of the engine, and the frame behind each. */

import { instancePath } from "../dicomweb/client";
import type { Frame } from "../model/frames";

const frames = new Map<string, Frame>();

/** The engine's name for a frame; the frame is remembered, so that its metadata can be asked for. */
export function imageIdOf(frame: Frame): string {
	const where = instancePath(frame.studyInstanceUID, frame.seriesInstanceUID, frame.sopInstanceUID);
	const imageId = `wadors:${where}/frames/${frame.frameNumber}`;
	if (!frames.has(imageId)) frames.set(imageId, frame);
	return imageId;
}

export function frameOfImageId(imageId: string): Frame | undefined {
	return frames.get(imageId);
}

/** Forgets every frame; for leaving a study. */
export function forgetFrames(): void {
	frames.clear();
}
