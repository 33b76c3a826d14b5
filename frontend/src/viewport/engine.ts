/** The imaging engine, set up once per page. */

import * as core from "@cornerstonejs/core";
import { init as initLoader } from "@cornerstonejs/dicom-image-loader";
import { forgetFrames, frameOfImageId } from "./image-id";
import { forgetFailures, watchImages } from "./image-status";
import { putRight } from "./image-values";
import { forgetTables } from "./lookup-tables";
import { forgetMetadata, provideMetadata } from "./metadata-provider";

export const ENGINE_ID = "pacsweb";
const GIGABYTE = 1024 ** 3;
const HISTORY = 50;

let started: Promise<void> | undefined;
let engine: core.RenderingEngine | undefined;

/** A quarter of the machine's memory, between half and one and a half gigabytes. */
export function cacheLimit(deviceMemory: number | undefined): number {
	const quarter = ((deviceMemory ?? 4) * GIGABYTE) / 4;
	return Math.min(1.5 * GIGABYTE, Math.max(0.5 * GIGABYTE, quarter));
}

async function start(): Promise<void> {
	core.init();
	initLoader({
		maxWebWorkers: Math.max(1, Math.min(4, Math.floor((navigator.hardwareConcurrency || 2) / 2))),
	});
	core.metaData.addProvider(provideMetadata, 10_000);
	const { deviceMemory } = navigator as Navigator & { deviceMemory?: number };
	core.cache.setMaxCacheSize(cacheLimit(deviceMemory));
	core.imageRetrievalPoolManager.setMaxSimultaneousRequests(core.Enums.RequestType.Interaction, 6);
	core.eventTarget.addEventListener(core.Enums.Events.IMAGE_LOADED, (event: Event) => {
		const { image } = (event as CustomEvent<{ image: core.Types.IImage }>).detail;
		const frame = frameOfImageId(image.imageId);
		if (frame) putRight(image, frame.attributes);
	});
	watchImages();
}

/** Resolves when images can be shown; safe to call again. */
export function startEngine(): Promise<void> {
	started ??= start();
	return started;
}

export function renderingEngine(): core.RenderingEngine {
	engine ??= new core.RenderingEngine(ENGINE_ID);
	return engine;
}

/** True when the browser draws without a graphics card's help. */
export function drawsOnCpu(): boolean {
	return core.getShouldUseCPURendering();
}

/** True while the whole image is in the viewport as it was when it was opened or reset. */
function isFitted(viewport: core.Types.IStackViewport): boolean {
	if (!viewport.getCornerstoneImage()) return false;
	const [x, y] = viewport.getPan();
	return Math.abs(viewport.getZoom() - 1) < 1e-3 && Math.hypot(x, y) < 1;
}

/** The layout changed: an image that filled its viewport fills it again; a zoomed one stays as it is. */
export function resizeViewports(): void {
	const viewports = (engine?.getViewports() ?? []) as core.Types.IStackViewport[];
	const fitted = viewports.filter(isFitted);
	engine?.resize(true, true);
	for (const viewport of fitted) {
		const presentation = viewport.getViewPresentation();
		const { flipHorizontal = false, flipVertical = false } = viewport.getCamera();
		viewport.resetCamera();
		viewport.setCamera({ flipHorizontal, flipVertical });
		viewport.setViewPresentation({ ...presentation, zoom: 1, pan: [0, 0] });
		viewport.render();
	}
}

/** Leaves the study: nothing of it stays in memory. */
export function leaveStudy(): void {
	engine?.destroy();
	engine = undefined;
	core.cache.purgeCache();
	forgetFrames();
	forgetMetadata();
	forgetTables();
	forgetFailures();
	// A new size empties the history of edits.
	core.utilities.HistoryMemo.DefaultHistoryMemo.size = HISTORY;
}

/** Takes back the last change of a measurement. */
export function undo(): void {
	core.utilities.HistoryMemo.DefaultHistoryMemo.undo();
}

/** Makes the last change that was taken back again. */
export function redo(): void {
	core.utilities.HistoryMemo.DefaultHistoryMemo.redo();
}
