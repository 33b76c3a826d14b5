/** One viewport with a stack of images in it. */

import { Enums, type Types, cache } from "@cornerstonejs/core";
import { text } from "../dicomweb/dicom-json";
import { type DisplaySet, firstFrameIndex, frameRate } from "../model/display-sets";
import { Tag } from "../model/tags";
import type { Window } from "../model/windows";
import { ENGINE_ID, renderingEngine } from "./engine";
import { frameOfImageId, imageIdOf } from "./image-id";
import type { Wanted } from "./image-order";
import { failureOf, forgetFailure, noteFailure, subscribeStatus } from "./image-status";
import { paletteKnown, rememberPalette } from "./metadata-provider";
import { paletteOf } from "./palette";
import { cameraState } from "./camera-state";
import { EMPTY_VIEW, type ViewState } from "./view-state";

const { Events } = Enums;
const AT_ONCE = 3;

/** Cornerstone keeps a window across a stack once it was set; this is the flag that says so. */
interface KeepsWindow {
	voiUpdatedWithSetProperties: boolean;
}

export class StackView {
	private state: ViewState = EMPTY_VIEW;
	private readonly listeners = new Set<() => void>();
	private element: HTMLDivElement | undefined;
	private imageIds: string[] = [];
	private direction: 1 | -1 = 1;
	private waiting = 0;
	private generation = 0;
	private timer: ReturnType<typeof setTimeout> | undefined;
	private cameraScheduled = false;
	private readonly unsubscribe: () => void;

	constructor(readonly id: string) {
		this.unsubscribe = subscribeStatus(this.checkFailure);
	}

	readonly subscribe = (listener: () => void): (() => void) => {
		this.listeners.add(listener);
		return () => this.listeners.delete(listener);
	};

	readonly getState = (): ViewState => this.state;

	/** Connects to an element that has a size; what was shown is shown again. */
	attach(element: HTMLDivElement): void {
		this.element = element;
		renderingEngine().enableElement({
			viewportId: this.id,
			type: Enums.ViewportType.STACK,
			element,
			defaultOptions: { background: [0, 0, 0] },
		});
		element.addEventListener(Events.STACK_NEW_IMAGE, this.onNewImage);
		element.addEventListener(Events.VOI_MODIFIED, this.onWindow);
		element.addEventListener(Events.CAMERA_MODIFIED, this.onCamera);
		element.addEventListener(Events.IMAGE_RENDERED, this.onCamera);
	}

	detach(): void {
		this.stop();
		const { element } = this;
		if (!element) return;
		element.removeEventListener(Events.STACK_NEW_IMAGE, this.onNewImage);
		element.removeEventListener(Events.VOI_MODIFIED, this.onWindow);
		element.removeEventListener(Events.CAMERA_MODIFIED, this.onCamera);
		element.removeEventListener(Events.IMAGE_RENDERED, this.onCamera);
		renderingEngine().disableElement(this.id);
		element.replaceChildren();
		this.element = undefined;
	}

	dispose(): void {
		this.detach();
		this.unsubscribe();
		this.listeners.clear();
	}

	get viewport(): Types.IStackViewport | undefined {
		if (!this.element) return undefined;
		return renderingEngine().getViewport(this.id) as Types.IStackViewport | undefined;
	}

	get engineId(): string {
		return ENGINE_ID;
	}

	/** What the prefetcher should care about. */
	wanted(): Wanted | undefined {
		if (this.imageIds.length === 0) return undefined;
		return { imageIds: this.imageIds, current: this.state.requested, direction: this.direction };
	}

	frameImageIds(): readonly string[] {
		return this.imageIds;
	}

	/** Blanks at once, then shows the display set from its first frame or the one given. */
	async show(displaySet: DisplaySet, index = firstFrameIndex(displaySet)): Promise<void> {
		this.clear();
		const generation = this.generation;
		const requested = Math.min(Math.max(0, index), Math.max(0, displaySet.frames.length - 1));
		const rate = frameRate(displaySet) ?? 15;
		if (displaySet.frames.length === 0) {
			this.set({ ...EMPTY_VIEW, displaySet, rate });
			return;
		}
		this.imageIds = displaySet.frames.map(imageIdOf);
		this.set({ ...EMPTY_VIEW, displaySet, requested, status: "loading", rate });
		try {
			await this.preparePalettes(displaySet);
			if (generation !== this.generation) return;
			await this.viewport?.setStack([...this.imageIds], requested);
			if (generation === this.generation) this.viewport?.render();
		} catch (error) {
			const imageId = this.imageIds[requested];
			if (generation === this.generation && imageId) noteFailure(imageId, error);
		}
	}

	/** Takes away everything that belongs to an image. */
	clear(): void {
		this.stop();
		this.generation += 1;
		this.waiting = 0;
		this.imageIds = [];
		this.set(EMPTY_VIEW);
	}

	/** Asks for the image at the index; the state says when it is on the screen. */
	goTo(index: number): void {
		const last = this.imageIds.length - 1;
		const target = Math.min(Math.max(0, Math.round(index)), last);
		if (last < 0 || target === this.state.requested) return;
		this.direction = target > this.state.requested ? 1 : -1;
		const failure = failureOf(this.imageIds[target] ?? "");
		const shown = this.state.shown?.index === target;
		this.set({
			...this.state,
			requested: target,
			status: failure ? "failed" : shown ? "shown" : "loading",
			failure,
		});
		if (!failure) this.request();
	}

	scrollBy(delta: number, loop = false): void {
		const count = this.imageIds.length;
		const target = this.state.requested + delta;
		this.goTo(loop && count > 0 ? (target + count) % count : target);
	}

	/** Tries the failed image once more. */
	async retry(): Promise<void> {
		const { displaySet, requested } = this.state;
		if (!displaySet) return;
		for (const imageId of this.imageIds) forgetFailure(imageId);
		await this.show(displaySet, requested);
	}

	setWindow(window: Window): void {
		const half = (window.width - 1) / 2;
		const middle = window.center - 0.5;
		this.viewport?.setProperties({ voiRange: { lower: middle - half, upper: middle + half } });
		this.viewport?.render();
	}

	toggleInvert(): void {
		this.applyInvert(!this.state.inverted);
		this.viewport?.render();
	}

	flip(axis: "horizontal" | "vertical"): void {
		const { viewport } = this;
		if (!viewport) return;
		const { flipHorizontal, flipVertical } = viewport.getCamera();
		viewport.setCamera(
			axis === "horizontal" ? { flipHorizontal: !flipHorizontal } : { flipVertical: !flipVertical },
		);
		viewport.render();
	}

	/** Degrees clockwise. */
	rotateBy(degrees: number): void {
		const { viewport } = this;
		if (!viewport) return;
		const rotation =
			((((viewport.getViewPresentation().rotation ?? 0) + degrees) % 360) + 360) % 360;
		viewport.setViewPresentation({ ...viewport.getViewPresentation(), rotation });
		viewport.render();
	}

	zoomBy(factor: number): void {
		const { viewport } = this;
		if (!viewport) return;
		viewport.setZoom(Math.min(40, Math.max(0.1, viewport.getZoom() * factor)));
		viewport.render();
	}

	/** As the image came: its own window and polarity, whole image, upright. */
	reset(): void {
		const { viewport } = this;
		if (!viewport || !this.state.shown) return;
		viewport.resetCamera();
		viewport.setCamera({ flipHorizontal: false, flipVertical: false });
		this.applyInvert(false);
		this.resetWindow();
		viewport.render();
	}

	resetWindow(): void {
		const { viewport } = this;
		const image = viewport?.getCornerstoneImage();
		if (!viewport || !image || image.color) return;
		const center = first(image.windowCenter);
		const width = first(image.windowWidth);
		this.setWindow({ center, width });
		// From now on each image brings its own window again.
		(viewport as unknown as KeepsWindow).voiUpdatedWithSetProperties = false;
	}

	play(rate = this.state.rate): void {
		this.stop();
		if (this.imageIds.length < 2) return;
		this.set({ ...this.state, playing: true, rate });
		const step = () => {
			// An image that is not there yet is waited for, not skipped.
			if (this.state.status !== "loading") this.scrollBy(1, true);
			this.timer = setTimeout(step, 1000 / this.state.rate);
		};
		this.timer = setTimeout(step, 1000 / rate);
	}

	stop(): void {
		clearTimeout(this.timer);
		this.timer = undefined;
		if (this.state.playing) this.set({ ...this.state, playing: false });
	}

	setRate(rate: number): void {
		this.set({ ...this.state, rate: Math.min(120, Math.max(1, rate)) });
	}

	/** The picture with everything drawn over it is on the canvas; its values are these. */
	shownPixels(): { values: Types.PixelDataTypedArray; imageId: string } | undefined {
		const image = this.viewport?.getCornerstoneImage();
		if (!image || this.state.status !== "shown") return undefined;
		return { values: image.getPixelData(), imageId: image.imageId };
	}

	private request(): void {
		const { viewport } = this;
		const { requested } = this.state;
		const imageId = this.imageIds[requested];
		if (!viewport || !imageId) return;
		// Not more than a few at a time; the newest wish is looked at when one of them is back.
		if (this.waiting >= AT_ONCE && !cache.isLoaded(imageId)) return;
		const generation = this.generation;
		this.waiting += 1;
		const done = () => {
			if (generation !== this.generation) return;
			this.waiting -= 1;
			if (this.state.status !== "loading") return;
			if (this.state.requested !== requested) this.request();
			else this.checkDrawn(imageId);
		};
		viewport.setImageIdIndex(requested).then(done, done);
	}

	/** An image that came and was not drawn must not leave its predecessor standing. */
	private checkDrawn(imageId: string): void {
		if (this.state.shown?.index === this.state.requested || failureOf(imageId)) return;
		if (this.viewport?.getCurrentImageId() !== imageId) this.request();
		else noteFailure(imageId, new Error("the engine did not draw it"));
	}

	private async preparePalettes(displaySet: DisplaySet): Promise<void> {
		const missing = displaySet.instances.filter(
			(instance) =>
				text(instance, Tag.PhotometricInterpretation) === "PALETTE COLOR" &&
				!paletteKnown(text(instance, Tag.SOPInstanceUID)),
		);
		await Promise.all(
			missing.map(async (instance) => {
				const palette = await paletteOf(instance);
				if (palette) rememberPalette(text(instance, Tag.SOPInstanceUID), palette);
			}),
		);
	}

	private applyInvert(inverted: boolean): void {
		const frame = this.state.shown?.frame;
		if (!frame) return;
		const monochrome1 = text(frame.attributes, Tag.PhotometricInterpretation) === "MONOCHROME1";
		this.viewport?.setProperties({ invert: monochrome1 !== inverted });
		this.set({ ...this.state, inverted });
	}

	private readonly onNewImage = (event: Event): void => {
		const { imageId, imageIdIndex, image } = (
			event as CustomEvent<{ imageId: string; imageIdIndex: number; image: Types.IImage }>
		).detail;
		const frame = frameOfImageId(imageId);
		if (!frame || this.imageIds[imageIdIndex] !== imageId) return;
		const arrived = imageIdIndex === this.state.requested;
		this.set({
			...this.state,
			shown: { index: imageIdIndex, frame },
			color: image.color,
			status: arrived ? "shown" : this.state.status,
			failure: arrived ? undefined : this.state.failure,
		});
		// Polarity belongs to each image: a stack may mix MONOCHROME1 and MONOCHROME2.
		if (!image.color) this.applyInvert(this.state.inverted);
		this.onWindow();
		this.onCamera();
	};

	private readonly checkFailure = (): void => {
		const imageId = this.imageIds[this.state.requested];
		const failure = imageId && failureOf(imageId);
		if (
			!failure ||
			this.state.status === "failed" ||
			this.state.shown?.index === this.state.requested
		)
			return;
		this.set({ ...this.state, status: "failed", failure });
	};

	private readonly onWindow = (): void => {
		const range = this.viewport?.getProperties().voiRange;
		if (!range) return;
		const width = range.upper - range.lower + 1;
		const window = { width, center: (range.upper + range.lower + 1) / 2 };
		this.set({ ...this.state, window });
	};

	private readonly onCamera = (): void => {
		if (this.cameraScheduled) return;
		this.cameraScheduled = true;
		requestAnimationFrame(() => {
			this.cameraScheduled = false;
			const { viewport } = this;
			const frame = this.state.shown?.frame;
			if (viewport && frame) this.set({ ...this.state, ...cameraState(viewport, frame) });
		});
	};

	private set(state: ViewState): void {
		this.state = state;
		for (const listener of this.listeners) listener();
	}
}

function first(value: number | number[]): number {
	return (Array.isArray(value) ? value[0] : value) ?? 0;
}
