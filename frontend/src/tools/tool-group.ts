/** The engine's tools, bound to mouse and fingers, and styled alike. */

import {
	AngleTool,
	AnnotationTool,
	addTool,
	ArrowAnnotateTool,
	annotation,
	BidirectionalTool,
	cancelActiveManipulations,
	EllipticalROITool,
	Enums,
	init,
	LengthTool,
	PanTool,
	ProbeTool,
	RectangleROITool,
	ReferenceLinesTool,
	ToolGroupManager,
	type Types,
	WindowLevelTool,
	ZoomTool,
} from "@cornerstonejs/tools";
import { ENGINE_ID } from "../viewport/engine";
import { frameOfImageId } from "../viewport/image-id";
import { ScrollTool } from "./scroll-tool";
import { finishedIds, watchMeasurements } from "./measurements";
import { readingLines } from "./readings";
import { statsOf } from "./stats";
import { TOOLS, type ToolId, toolOfEngineName } from "./tool-table";

const GROUP = "pacsweb";
const { MouseBindings } = Enums;

const ENGINE_TOOLS = [
	WindowLevelTool,
	ZoomTool,
	PanTool,
	ScrollTool,
	LengthTool,
	BidirectionalTool,
	AngleTool,
	EllipticalROITool,
	RectangleROITool,
	ProbeTool,
	ArrowAnnotateTool,
	ReferenceLinesTool,
];

/** Asks the reader for a text; resolves to undefined when they think better of it. */
export type AskText = (current: string) => Promise<string | undefined>;

let askText: AskText = async () => undefined;
let started = false;

/** One look for all measurements: 1.5 px lines, thicker when selected. */
const STYLE = {
	color: "rgb(255, 214, 102)",
	colorHighlighted: "rgb(255, 232, 168)",
	colorSelected: "rgb(77, 163, 255)",
	colorLocked: "rgb(154, 167, 180)",
	lineWidth: "1.5",
	lineWidthSelected: "2.5",
	lineWidthHighlighted: "2",
	lineDash: "",
	shadow: true,
	textBoxVisibility: true,
	textBoxFontFamily: "system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif",
	textBoxFontSize: "12px",
	textBoxColor: "rgb(255, 214, 102)",
	textBoxColorHighlighted: "rgb(255, 232, 168)",
	textBoxColorSelected: "rgb(77, 163, 255)",
	textBoxColorLocked: "rgb(154, 167, 180)",
	textBoxBackground: "",
	textBoxLinkLineWidth: "1",
	textBoxLinkLineDash: "2,3",
	textBoxShadow: true,
	markerSize: "10",
	angleArcLineDash: "",
};

/** Lines beside a drawing, in our words instead of the engine's. */
function textLines(engineName: string) {
	const tool = toolOfEngineName(engineName);
	// Most tools name one target, the rectangle a list of them.
	return (
		data: { cachedStats?: Record<string, unknown> },
		target: string | readonly string[],
	): string[] => {
		const targetId = typeof target === "string" ? target : (target[0] ?? "");
		const imageId = targetId.replace(/^imageId:/, "");
		const frame = frameOfImageId(imageId);
		if (!tool || !frame) return [];
		return readingLines(
			tool.id,
			statsOf(tool.id, data.cachedStats?.[targetId], imageId),
			frame.attributes,
		);
	};
}

function arrowConfiguration() {
	return {
		getTextCallback: (done: (text?: string) => void) => void askText("").then(done),
		changeTextCallback: (
			drawn: { data: { text?: string } },
			_event: unknown,
			done: (text?: string) => void,
		) => void askText(drawn.data.text ?? "").then((text) => done(text ?? drawn.data.text)),
	};
}

function configurationOf(engineName: string): object {
	if (engineName === "ArrowAnnotate") return arrowConfiguration();
	if (!toolOfEngineName(engineName)?.measures) return {};
	return { getTextLines: textLines(engineName) };
}

/** Adds the tools to the engine; once per page, after the engine has started. */
export function startTools(ask: AskText): void {
	askText = ask;
	if (started) return;
	started = true;
	init();
	for (const tool of ENGINE_TOOLS) addTool(tool);
	annotation.config.style.setDefaultToolStyles({ global: STYLE } as unknown as Parameters<
		typeof annotation.config.style.setDefaultToolStyles
	>[0]);
	watchMeasurements();
}

/** A fresh group for a study's viewports; the previous one is gone. */
export function makeToolGroup(): void {
	ToolGroupManager.destroyToolGroup(GROUP);
	const group = ToolGroupManager.createToolGroup(GROUP);
	if (!group) return;
	for (const { toolName } of ENGINE_TOOLS) {
		group.addTool(toolName, configurationOf(toolName));
		if (toolOfEngineName(toolName)?.measures) group.setToolPassive(toolName);
	}
	activateTool("window");
}

export function destroyToolGroup(): void {
	ToolGroupManager.destroyToolGroup(GROUP);
}

export function addToTools(viewportId: string): void {
	ToolGroupManager.getToolGroup(GROUP)?.addViewport(viewportId, ENGINE_ID);
}

export function removeFromTools(viewportId: string): void {
	ToolGroupManager.getToolGroup(GROUP)?.removeViewports(ENGINE_ID, viewportId);
}

/** Bindings that hold whatever the left button does; more than one finger is no tool's. */
const FIXED: Readonly<Record<string, readonly Types.IToolBinding[]>> = {
	Pan: [{ mouseButton: MouseBindings.Auxiliary }],
	Zoom: [{ mouseButton: MouseBindings.Secondary }],
	[ScrollTool.toolName]: [{ mouseButton: MouseBindings.Primary_And_Secondary }],
};

/** Gives the left button (and one finger) to a tool. */
export function activateTool(id: ToolId): void {
	const group = ToolGroupManager.getToolGroup(GROUP);
	if (!group) return;
	for (const row of TOOLS) {
		if (row.measures) group.setToolPassive(row.engineName, { removeAllBindings: true });
		else if (!FIXED[row.engineName]) group.setToolDisabled(row.engineName);
	}
	const chosen = TOOLS.find((row) => row.id === id)?.engineName ?? "WindowLevel";
	for (const [name, bindings] of Object.entries(FIXED)) {
		group.setToolPassive(name, { removeAllBindings: true });
		if (name !== chosen) group.setToolActive(name, { bindings: [...bindings] });
	}
	group.setToolActive(chosen, {
		bindings: [{ mouseButton: MouseBindings.Primary }, ...(FIXED[chosen] ?? [])],
	});
}

/** Lines where the active viewport's slice cuts the others. */
export function showReferenceLines(sourceViewportId: string | undefined): void {
	const group = ToolGroupManager.getToolGroup(GROUP);
	if (!group) return;
	if (!sourceViewportId) {
		group.setToolDisabled("ReferenceLines");
		return;
	}
	group.setToolConfiguration("ReferenceLines", { sourceViewportId });
	group.setToolEnabled("ReferenceLines");
}

/** Gives up what is being drawn, as if it had never been begun; a change of an old one stays. */
export function cancelDrawing(element: HTMLDivElement): void {
	// The engine calls a drawing complete also when it is given up.
	const before = finishedIds();
	const id = cancelActiveManipulations(element);
	if (id && !before.has(id)) annotation.state.removeAnnotation(id);
}

/** Deletes a measurement; Ctrl+Z brings it back. */
export function deleteMeasurement(id: string, element: HTMLDivElement | undefined): void {
	const drawn = annotation.state.getAnnotation(id);
	if (!drawn) return;
	if (element) AnnotationTool.createAnnotationMemo(element, drawn, { deleting: true });
	annotation.state.removeAnnotation(id);
}
