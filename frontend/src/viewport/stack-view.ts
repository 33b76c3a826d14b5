/** One viewport with a stack of images in it. */

import { Enums, type Types, cache } from "@cornerstonejs/core";
import { type DisplaySet, firstFrameIndex, frameRate } from "../model/display-sets";
import type { Voi } from "../model/voi";
import { ENGINE_ID, renderingEngine } from "./engine";
import { frameOfImageId, imageIdOf } from "./image-id";
import type { Wanted } from "./image-order";
import { failureOf, forgetFailure, noteFailure, subscribeStatus } from "./image-status";
import { readTables } from "./lookup-tables";
import { readPalette } from "./metadata-provider";
import { cameraState, imagePlace } from "./camera-state";
import { GreyDisplay } from "./grey-display";
import type { Point } from "./touch-gestures";
import { EMPTY_VIEW, type ViewState } from "./view-state";

const { Events } = Enums;
const AT_ONCE = 3;

/** A picture with the places (column, row) of three of its pixels: the first, and 1000 on. */
export interface Painted {
	readonly picture: string;
	readonly origin: readonly [number, number];
	readonly right: readonly [number, number];
	readonly down: readonly [number, number];
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
	private smooth = true;
	private readonly grey = new GreyDisplay(() => this.viewport);
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
		element.addEventListener(Events.VOI_MODIFIED, this.onWindowEvent);
		element.addEventListener(Events.CAMERA_MODIFIED, this.onCamera);
		element.addEventListener(Events.IMAGE_RENDERED, this.onCamera);
	}

	detach(): void {
		this.stop();
		const { element } = this;
		if (!element) return;
		element.removeEventListener(Events.STACK_NEW_IMAGE, this.onNewImage);
		element.removeEventListener(Events.VOI_MODIFIED, this.onWindowEvent);
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
			await this.prepareTables(displaySet);
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
		this.grey.forget();
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

	/** A preset, or one of what the image offers. */
	applyVoi(voi: Voi): void {
		const attributes = this.state.shown?.frame.attributes;
		if (!attributes || this.state.color) return;
		this.grey.choose(voi, attributes, this.state.inverted);
		this.onWindow();
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

	/** Canvas pixels (CSS). */
	panBy(dx: number, dy: number): void {
		const { viewport } = this;
		if (!viewport) return;
		const [x, y] = viewport.getPan();
		viewport.setPan([x + dx, y + dy]);
		viewport.render();
	}

	/** What lies under this place of the canvas stays there. */
	zoomAround(factor: number, { x, y }: Point): void {
		const { viewport } = this;
		if (!viewport) return;
		const under = viewport.canvasToWorld([x, y]);
		viewport.setZoom(Math.min(40, Math.max(0.1, viewport.getZoom() * factor)));
		const [nowX, nowY] = viewport.worldToCanvas(under);
		this.panBy(x - nowX, y - nowY);
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
		const attributes = this.state.shown?.frame.attributes;
		if (!attributes || this.state.color) return;
		this.grey.reset(attributes, this.state.inverted);
		this.onWindow();
		this.viewport?.render();
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

	/** Interpolated between pixels, or every pixel as the square it is. */
	setSmooth(smooth: boolean): void {
		this.smooth = smooth;
		this.applySmooth();
		this.viewport?.render();
	}

	private applySmooth(): void {
		const { LINEAR, NEAREST } = Enums.InterpolationType;
		this.viewport?.setProperties({ interpolationType: this.smooth ? LINEAR : NEAREST });
	}

	/** The viewport's picture without anything over it, and where its pixels lie in the image. */
	painted(): Painted | undefined {
		const { viewport } = this;
		if (!viewport || this.state.status !== "shown") return undefined;
		const canvas = viewport.getCanvas();
		const ratio = canvas.width / canvas.clientWidth;
		const at = (x: number, y: number) => imagePlace(viewport, (x + 0.5) / ratio, (y + 0.5) / ratio);
		return { picture: canvas.toDataURL(), origin: at(0, 0), right: at(1000, 0), down: at(0, 1000) };
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

	/** Palettes and lookup tables may have to be fetched before an image can be right. */
	private async prepareTables(displaySet: DisplaySet): Promise<void> {
		await Promise.all(
			displaySet.instances.flatMap((instance) => [readTables(instance), readPalette(instance)]),
		);
	}

	private applyInvert(inverted: boolean): void {
		const frame = this.state.shown?.frame;
		if (!frame) return;
		if (this.state.color) this.viewport?.setProperties({ invert: inverted });
		else this.grey.turn(frame.attributes, inverted);
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
			offered: image.color ? [] : this.grey.offered(frame.attributes),
			status: arrived ? "shown" : this.state.status,
			failure: arrived ? undefined : this.state.failure,
		});
		// Polarity belongs to each image: a stack may mix MONOCHROME1 and MONOCHROME2.
		if (!image.color) this.grey.adopt(frame.attributes, this.state.inverted);
		this.applySmooth();
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

	private readonly onWindowEvent = (): void => {
		this.grey.noteDrag();
		this.onWindow();
	};

	private readonly onWindow = (): void => {
		const window = this.grey.window();
		if (!window) return;
		const { shapeInForce: shape, approximated } = this.grey;
		this.set({ ...this.state, window, shape, approximated });
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
