/** The tools of the left button: one table for tool bar, keys, palette and engine. */

export type ToolId =
	| "window"
	| "zoom"
	| "pan"
	| "scroll"
	| "length"
	| "bidirectional"
	| "angle"
	| "ellipse"
	| "rectangle"
	| "probe"
	| "arrow";

export interface ToolRow {
	readonly id: ToolId;
	readonly label: string;
	readonly key: string;
	/** Cornerstone's name of the tool. */
	readonly engineName: string;
	readonly measures: boolean;
}

export const TOOLS: readonly ToolRow[] = [
	{ id: "window", label: "Window", key: "w", engineName: "WindowLevel", measures: false },
	{ id: "zoom", label: "Zoom", key: "z", engineName: "Zoom", measures: false },
	{ id: "pan", label: "Pan", key: "p", engineName: "Pan", measures: false },
	{ id: "length", label: "Length", key: "l", engineName: "Length", measures: true },
	{
		id: "bidirectional",
		label: "Bidirectional",
		key: "b",
		engineName: "Bidirectional",
		measures: true,
	},
	{ id: "angle", label: "Angle", key: "a", engineName: "Angle", measures: true },
	{ id: "ellipse", label: "Ellipse", key: "e", engineName: "EllipticalROI", measures: true },
	{ id: "rectangle", label: "Rectangle", key: "r", engineName: "RectangleROI", measures: true },
	{ id: "probe", label: "Probe", key: "d", engineName: "Probe", measures: true },
	{ id: "arrow", label: "Text with arrow", key: "t", engineName: "ArrowAnnotate", measures: true },
];

export function toolOfEngineName(name: string): ToolRow | undefined {
	return TOOLS.find((row) => row.engineName === name);
}
