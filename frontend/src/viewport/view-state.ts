/** What a viewport shows right now, as plain data. */

import type { DisplaySet } from "../model/display-sets";
import type { Frame } from "../model/frames";
import type { Edges } from "../model/geometry";
import type { Window } from "../model/windows";

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
