/** What the viewer page shows, as plain data. */

import type { DisplaySet } from "../../model/display-sets";
import type { Series, Study } from "../../model/series";
import type { DraftState } from "./draft-keeper";
import type { ToolId } from "../../tools/tool-table";

export interface SeriesEntry {
	readonly series: Series;
	readonly status: "waiting" | "loading" | "ready" | "failed";
	readonly failure: string | undefined;
	readonly displaySets: readonly DisplaySet[];
}

export interface Layout {
	readonly rows: number;
	readonly columns: number;
}

export type Panel = "measurements" | "reports" | "header";

export interface ViewerState {
	readonly study: Study | undefined;
	/** Why the study cannot be shown. */
	readonly failure: { readonly sentence: string; readonly signedOut: boolean } | undefined;
	readonly loaded: boolean;
	readonly series: readonly SeriesEntry[];
	readonly priors: readonly Study[];
	readonly layout: Layout;
	/** Display set ids by viewport; undefined where it is empty. */
	readonly panes: readonly (string | undefined)[];
	readonly active: number;
	/** One viewport fills the grid until it is double-clicked again. */
	readonly maximised: boolean;
	readonly tool: ToolId;
	readonly overlay: boolean;
	readonly panel: Panel | undefined;
	readonly strip: boolean;
	readonly synchronised: boolean;
	/** Pixels are interpolated; otherwise each is the square it is. */
	readonly smooth: boolean;
	readonly referenceLines: boolean;
	/** Whether what was measured is safe. */
	readonly draft: DraftState;
	/** What was just deleted and can be brought back. */
	readonly deleted: string | undefined;
	readonly dialog: "keys" | "palette" | undefined;
}

export const FIRST_STATE: ViewerState = {
	study: undefined,
	failure: undefined,
	loaded: false,
	series: [],
	priors: [],
	layout: { rows: 1, columns: 1 },
	panes: [undefined],
	active: 0,
	maximised: false,
	tool: "window",
	overlay: true,
	panel: undefined,
	strip: true,
	synchronised: false,
	smooth: true,
	referenceLines: false,
	draft: { kind: "loading" },
	deleted: undefined,
	dialog: undefined,
};

export function displaySetsIn(state: ViewerState): DisplaySet[] {
	return state.series.flatMap((entry) => entry.displaySets);
}

export function displaySetById(state: ViewerState, id: string | undefined): DisplaySet | undefined {
	return id === undefined ? undefined : displaySetsIn(state).find((set) => set.id === id);
}

/** Where to find an instance: its display set and the index of the frame in it. */
export function locate(
	state: ViewerState,
	sopInstanceUID: string,
	frameNumber?: number,
): { displaySet: DisplaySet; index: number } | undefined {
	for (const displaySet of displaySetsIn(state)) {
		const index = displaySet.frames.findIndex(
			(frame) =>
				frame.sopInstanceUID === sopInstanceUID &&
				(frameNumber === undefined || frame.frameNumber === frameNumber),
		);
		if (index >= 0) return { displaySet, index };
		const alone = displaySet.frames.length === 0 && displaySet.id.endsWith(`/${sopInstanceUID}`);
		if (alone) return { displaySet, index: 0 };
	}
	return undefined;
}

/** Panes for a new layout: what was shown stays, new places take series not yet on the screen. */
export function panesForLayout(state: ViewerState, layout: Layout): (string | undefined)[] {
	const count = layout.rows * layout.columns;
	const kept = state.panes.slice(0, count);
	const waiting = displaySetsIn(state)
		.filter((set) => set.kind === "image" && !kept.includes(set.id))
		.map((set) => set.id);
	return Array.from({ length: count }, (_, index) => kept[index] ?? waiting.shift());
}
