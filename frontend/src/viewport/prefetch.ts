/** Fetches what will probably be looked at next, while nothing visible is waited for. */

import { cache, Enums, imageLoader } from "@cornerstonejs/core";
import { nextImage, type Wanted } from "./image-order";
import { failureOf, statusOf } from "./image-status";

const AT_ONCE = 4;
const FULL = 0.9;

export interface PrefetchSource {
	/** Stacks in order of importance. */
	wanted: () => readonly Wanted[];
	/** True while a visible image is still on its way. */
	busy: () => boolean;
}

export class Prefetcher {
	private readonly loading = new Set<string>();
	private stopped = false;
	private timer: ReturnType<typeof setTimeout> | undefined;

	constructor(private readonly source: PrefetchSource) {}

	/** Something changed: another image is shown, another stack is open. */
	wake(): void {
		if (this.timer !== undefined || this.stopped) return;
		this.timer = setTimeout(() => {
			this.timer = undefined;
			this.fill();
		}, 10);
	}

	stop(): void {
		this.stopped = true;
		clearTimeout(this.timer);
	}

	private fill(): void {
		while (!this.stopped && this.loading.size < AT_ONCE && !this.source.busy() && !this.full()) {
			const imageId = nextImage(
				this.source.wanted(),
				(each) =>
					this.loading.has(each) || statusOf(each) === "cached" || failureOf(each) !== undefined,
			);
			if (!imageId) return;
			this.load(imageId);
		}
	}

	private full(): boolean {
		return cache.getCacheSize() > cache.getMaxCacheSize() * FULL;
	}

	private load(imageId: string): void {
		this.loading.add(imageId);
		const done = () => {
			this.loading.delete(imageId);
			this.wake();
		};
		imageLoader
			.loadAndCacheImage(imageId, { requestType: Enums.RequestType.Prefetch, priority: 0 })
			// A failure is recorded by image-status and shown when the image is asked for.
			.then(done, done);
	}
}
