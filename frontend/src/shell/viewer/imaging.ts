/** The imaging core in one piece, so that it can be loaded when it is first wanted. */

export {
	drawsOnCpu,
	leaveStudy,
	redo,
	resizeViewports,
	startEngine,
	undo,
} from "../../viewport/engine";
export { imageIdOf } from "../../viewport/image-id";
export { failureOf, statusOf, statusVersion, subscribeStatus } from "../../viewport/image-status";
export { Prefetcher } from "../../viewport/prefetch";
export { StackView } from "../../viewport/stack-view";
export {
	deleteMeasurement,
	activateTool,
	addToTools,
	cancelDrawing,
	destroyToolGroup,
	makeToolGroup,
	removeFromTools,
	showReferenceLines,
	startTools,
} from "../../tools/tool-group";
export {
	forgetMeasurements,
	measurements,
	selectedMeasurements,
	selectMeasurement,
	subscribeMeasurements,
} from "../../tools/measurements";
export { draw, drawings, erase } from "../../tools/drawings";
export { listenForGestures } from "../../viewport/touch-gestures";
export { onScroll } from "../../tools/scroll-tool";
