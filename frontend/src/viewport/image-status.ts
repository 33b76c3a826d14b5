/** Which images are in memory, which failed and why: for the slice rail and the failure cover. */

import { Enums, cache, eventTarget } from "@cornerstonejs/core";
import { sentenceForStatus } from "../dicomweb/client";

export type ImageStatus = "absent" | "cached" | "failed";

const failures = new Map<string, string>();
const listeners = new Set<() => void>();
let version = 0;
let scheduled = false;

function changed(): void {
	version += 1;
	if (scheduled) return;
	scheduled = true;
	requestAnimationFrame(() => {
		scheduled = false;
		for (const listener of listeners) listener();
	});
}

/** Why an image could not be shown, in a sentence. The loader rejects with what it has at hand. */
export function failureSentence(error: unknown): string {
	const outer = error as { error?: unknown; status?: unknown; message?: unknown } | undefined;
	const inner = (outer?.error ?? outer) as { status?: unknown; message?: unknown } | undefined;
	if (typeof inner?.status === "number") return sentenceForStatus(inner.status);
	const reason = typeof inner?.message === "string" ? inner.message : String(inner ?? "");
	return reason ? `It cannot be decoded: ${reason}.` : "It cannot be decoded.";
}

export function statusOf(imageId: string): ImageStatus {
	if (failures.has(imageId)) return "failed";
	return cache.isLoaded(imageId) ? "cached" : "absent";
}

export function failureOf(imageId: string): string | undefined {
	return failures.get(imageId);
}

export function forgetFailure(imageId: string): void {
	if (failures.delete(imageId)) changed();
}

export function forgetFailures(): void {
	failures.clear();
	changed();
}

export function noteFailure(imageId: string, error: unknown): void {
	failures.set(imageId, failureSentence(error));
	changed();
}

/** Calls back, at most once a frame, when the status of any image changed. */
export function subscribeStatus(listener: () => void): () => void {
	listeners.add(listener);
	return () => listeners.delete(listener);
}

export function statusVersion(): number {
	return version;
}

/** Connects to the engine's events; once per page. */
export function watchImages(): void {
	const { Events } = Enums;
	const failed = (event: Event) => {
		const { imageId, error } = (event as CustomEvent<{ imageId?: string; error?: unknown }>).detail;
		if (imageId) noteFailure(imageId, error);
	};
	eventTarget.addEventListener(Events.IMAGE_LOAD_FAILED, failed);
	eventTarget.addEventListener(Events.IMAGE_LOAD_ERROR, failed);
	eventTarget.addEventListener(Events.IMAGE_LOADED, (event: Event) => {
		const { image } = (event as CustomEvent<{ image: { imageId: string } }>).detail;
		failures.delete(image.imageId);
		changed();
	});
	eventTarget.addEventListener(Events.IMAGE_CACHE_IMAGE_ADDED, changed);
	eventTarget.addEventListener(Events.IMAGE_CACHE_IMAGE_REMOVED, changed);
}
