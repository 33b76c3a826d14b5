/** Everything a reader can do, by name and key: one table for keys, sheet and palette. */

import { TOOLS } from "../../tools/tool-table";
import type { ViewerSession } from "./viewer-session";

export interface Command {
	readonly id: string;
	readonly label: string;
	readonly group: string;
	/** As `keyOf` spells them; the first one is taught. */
	readonly keys: readonly string[];
	readonly run: (session: ViewerSession) => void;
	/** Only on the sheet and by key, too small for the palette. */
	readonly quiet?: boolean;
}

const view = (session: ViewerSession) => session.activeView;

const toolCommands = TOOLS.map(
	(tool): Command => ({
		id: `tool-${tool.id}`,
		label: tool.label,
		group: "Tools",
		keys: [tool.key],
		run: (session) => session.setTool(tool.id),
	}),
);

const presetCommands = Array.from(
	{ length: 9 },
	(_, index): Command => ({
		id: `preset-${index + 1}`,
		label: `Window preset ${index + 1}`,
		group: "Image",
		keys: [String(index + 1)],
		quiet: true,
		run: (session) => session.applyPreset(index + 1),
	}),
);

const LAYOUTS: readonly (readonly [number, number, string])[] = [
	[1, 1, "one viewport"],
	[1, 2, "two side by side"],
	[2, 1, "two stacked"],
	[2, 2, "four"],
];

const layoutCommands = LAYOUTS.map(
	([rows, columns, words]): Command => ({
		id: `layout-${rows}x${columns}`,
		label: `Layout: ${words}`,
		group: "Layout",
		keys: [],
		run: (session) => session.setLayout({ rows, columns }),
	}),
);

const row = (
	group: string,
	id: string,
	label: string,
	keys: readonly string[],
	run: (session: ViewerSession) => void,
	quiet = false,
): Command => ({ group, id, label, keys, run, quiet });

export const COMMANDS: readonly Command[] = [
	...toolCommands,
	row("Image", "invert", "Invert", ["i"], (s) => view(s)?.toggleInvert()),
	row("Image", "flip-horizontal", "Flip left and right", ["h"], (s) => view(s)?.flip("horizontal")),
	row("Image", "flip-vertical", "Flip top and bottom", ["v"], (s) => view(s)?.flip("vertical")),
	row("Image", "rotate-left", "Rotate left", ["["], (s) => view(s)?.rotateBy(-90)),
	row("Image", "rotate-right", "Rotate right", ["]"], (s) => view(s)?.rotateBy(90)),
	row("Image", "zoom-in", "Zoom in", ["+", "="], (s) => view(s)?.zoomBy(1.25), true),
	row("Image", "zoom-out", "Zoom out", ["-"], (s) => view(s)?.zoomBy(0.8), true),
	row("Image", "reset", "Reset image", ["0"], (s) => view(s)?.reset()),
	row("Image", "smooth", "Smooth pixels or squares", [], (s) => s.toggleSmooth()),
	...presetCommands,
	row(
		"Move",
		"next-image",
		"Next image",
		["ArrowDown", "ArrowRight"],
		(s) => view(s)?.scrollBy(1),
		true,
	),
	row(
		"Move",
		"previous-image",
		"Previous image",
		["ArrowUp", "ArrowLeft"],
		(s) => view(s)?.scrollBy(-1),
		true,
	),
	row("Move", "next-ten", "Ten images on", ["PageDown"], (s) => view(s)?.scrollBy(10), true),
	row("Move", "previous-ten", "Ten images back", ["PageUp"], (s) => view(s)?.scrollBy(-10), true),
	row("Move", "first-image", "First image", ["Home"], (s) => view(s)?.goTo(0)),
	row("Move", "last-image", "Last image", ["End"], (s) => view(s)?.goTo(Number.MAX_SAFE_INTEGER)),
	row("Move", "cine", "Play or stop cine", ["c"], (s) => s.toggleCine()),
	row("Move", "next-series", "Next series", ["."], (s) => s.stepSeries(1)),
	row("Move", "previous-series", "Previous series", [","], (s) => s.stepSeries(-1)),
	row("Move", "previous-study", "Previous study of the patient", ["<"], (s) => s.stepStudy(1)),
	row("Move", "next-study", "Next study of the patient", [">"], (s) => s.stepStudy(-1)),
	row("Move", "next-viewport", "Next viewport", ["Tab"], (s) => s.nextPane(1), true),
	row("Move", "previous-viewport", "Previous viewport", ["Shift+Tab"], (s) => s.nextPane(-1), true),
	row("Measurements", "delete", "Delete selected measurement", ["Delete", "Backspace"], (s) =>
		s.deleteSelected(),
	),
	row("Measurements", "cancel", "Stop drawing", ["Escape"], (s) => s.cancelDrawing(), true),
	row("Measurements", "undo", "Undo", ["Ctrl+z"], (s) => s.undo()),
	row("Measurements", "redo", "Redo", ["Ctrl+y", "Ctrl+Shift+Z"], (s) => s.redo()),
	...layoutCommands,
	row("Layout", "maximise", "Single view and back", ["Enter"], (s) => s.toggleMaximised()),
	row("Layout", "overlay", "Text on the image", ["o"], (s) => s.toggle("overlay")),
	row("Layout", "synchronise", "Synchronise scrolling", ["s"], (s) => s.toggle("synchronised")),
	row("Layout", "reference-lines", "Reference lines", ["x"], (s) => s.toggle("referenceLines")),
	row("Panels", "strip", "Series strip", ["Ctrl+b"], (s) => s.toggle("strip")),
	row("Panels", "measurements", "Measurements", ["Alt+m"], (s) => s.togglePanel("measurements")),
	row("Panels", "reports", "Reports", ["Alt+r"], (s) => s.togglePanel("reports")),
	row("Panels", "header", "Header of the image", ["Alt+h"], (s) => s.togglePanel("header")),
	row("Panels", "polarities", "Compare both polarities", [], (s) => s.comparePolarities()),
	row("Panels", "keys", "Sheet of keys", ["?"], (s) => s.setDialog("keys")),
	row("Panels", "palette", "Command palette", ["Ctrl+k"], (s) => s.setDialog("palette"), true),
];

/** `Ctrl+z`, `Alt+m`, `Shift+Tab`, `?`: letters by what is typed, Shift only where it is not typed. */
export function keyOf(event: {
	key: string;
	ctrlKey: boolean;
	metaKey: boolean;
	altKey: boolean;
	shiftKey: boolean;
}): string {
	const command = event.ctrlKey || event.metaKey;
	const shift = event.shiftKey && (event.key.length > 1 || command);
	return [command && "Ctrl", event.altKey && "Alt", shift && "Shift", event.key]
		.filter(Boolean)
		.join("+");
}

const BY_KEY = new Map(COMMANDS.flatMap((command) => command.keys.map((key) => [key, command])));

/** The command of a key; a letter typed with Caps Lock on counts as itself. */
export function commandOfKey(key: string): Command | undefined {
	return BY_KEY.get(key) ?? (key.length === 1 ? BY_KEY.get(key.toLowerCase()) : undefined);
}

export function commandById(id: string): Command | undefined {
	return COMMANDS.find((command) => command.id === id);
}

const KEY_NAMES: Readonly<Record<string, string>> = {
	ArrowDown: "\u2193",
	ArrowUp: "\u2191",
	ArrowRight: "\u2192",
	ArrowLeft: "\u2190",
	PageDown: "PgDn",
	PageUp: "PgUp",
	Delete: "Del",
};

/** How a key is written on the sheet and in tooltips. */
export function keyName(key: string): string {
	return key
		.split(/(?<=.)\+/)
		.map((part) => KEY_NAMES[part] ?? part)
		.map((part) =>
			key.includes("+") && key.length > 1 ? part.replace(/^[a-z]$/, (c) => c.toUpperCase()) : part,
		)
		.join("+");
}
