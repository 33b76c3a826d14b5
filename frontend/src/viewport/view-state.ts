/** What a viewport shows right now, as plain data. */

import type { DisplaySet } from "../model/display-sets";
import type { Frame } from "../model/frames";
import type { Edges } from "../model/geometry";
import type { Shape, Voi, Window } from "../model/voi";

export interface ViewState {
	readonly displaySet: DisplaySet | undefined;
	/** "failed": the requested image cannot be shown and nothing else may stand in its place. */
	readonly status: "empty" | "loading" | "shown" | "failed";
	/** From 0; where the reader is, whether or not the image is there yet. */
	readonly requested: number;
	/** The image whose pixels are on the screen. */
	readonly shown: { readonly index: number; readonly frame: Frame } | undefined;
	readonly failure: string | undefined;
	readonly window: Window | undefined;
	/** How values become grey over that window. */
	readonly shape: Shape | undefined;
	/** True when the image asks for a curve and the browser can only draw straight lines. */
	readonly approximated: boolean;
	/** Windows and VOI LUTs that the shown image brings. */
	readonly offered: readonly Voi[];
	readonly color: boolean;
	/** Relative to how the image is meant to be seen; MONOCHROME1 alone is not "inverted". */
	readonly inverted: boolean;
	/** Degrees clockwise. */
	readonly rotation: number;
	readonly flippedHorizontally: boolean;
	readonly flippedVertically: boolean;
	/** Screen pixels (CSS) per image pixel. */
	readonly zoom: number | undefined;
	/** Millimetres per CSS pixel; undefined without a spacing. */
	readonly mmPerPixel: number | undefined;
	readonly edges: Edges | undefined;
	readonly playing: boolean;
	/** Frames a second. */
	readonly rate: number;
}

export const EMPTY_VIEW: ViewState = {
	displaySet: undefined,
	status: "empty",
	requested: 0,
	shown: undefined,
	failure: undefined,
	window: undefined,
	shape: undefined,
	approximated: false,
	offered: [],
	color: false,
	inverted: false,
	rotation: 0,
	flippedHorizontally: false,
	flippedVertically: false,
	zoom: undefined,
	mmPerPixel: undefined,
	edges: undefined,
	playing: false,
	rate: 15,
};
