/** How one viewport turns values into grey: the reader's choice, kept while images change. */

import type { Types } from "@cornerstonejs/core";
import type { DataSet } from "../dicomweb/dicom-json";
import {
	isInverted,
	LINEAR,
	type Range,
	rangeOf,
	type Shape,
	shapeOf,
	type Voi,
	voiAlternatives,
	type Window,
	windowOfRange,
} from "../model/voi";
import { paddingOf } from "./default-window";
import { installCurve } from "./grey-curve";
import { voiTables } from "./lookup-tables";

/** Cornerstone keeps a window across a stack once it was set; this is the flag that says so. */
interface KeepsWindow {
	voiUpdatedWithSetProperties: boolean;
}

/** Images bring their own way to grey; or the n-th of what each offers; or one for all. */
type Choice =
	| { readonly kind: "own" }
	| { readonly kind: "offered"; readonly index: number }
	| { readonly kind: "fixed"; readonly shape: Shape };

const OWN: Choice = { kind: "own" };

export class GreyDisplay {
	private choice: Choice = OWN;
	private shape: Shape = LINEAR;
	private drawsCurves = true;
	private setting = false;

	constructor(private readonly viewport: () => Types.IStackViewport | undefined) {}

	/** What the image on the screen offers, windows first. */
	offered(attributes: DataSet): Voi[] {
		return voiAlternatives(attributes, voiTables(attributes));
	}

	get shapeInForce(): Shape {
		return this.shape;
	}

	/** True when a curve is asked for and straight lines are all there is. */
	get approximated(): boolean {
		return !this.drawsCurves && (this.shape.kind === "table" || this.shape.function === "SIGMOID");
	}

	/** The window on the screen. */
	window(): Window | undefined {
		const range = this.viewport()?.getProperties().voiRange;
		return range && windowOfRange(range, this.shape);
	}

	/** Another image is in the viewport: its polarity and padding, and its curve or the chosen one. */
	adopt(attributes: DataSet, inverted: boolean): void {
		const offered = this.offered(attributes);
		if (this.choice.kind === "fixed") this.shape = this.choice.shape;
		else {
			const index = this.choice.kind === "offered" ? this.choice.index : 0;
			const voi = offered[index] ?? offered[0];
			this.shape = voi ? shapeOf(voi) : LINEAR;
			if (this.choice.kind === "offered" && voi) this.setRange(rangeOf(voi));
		}
		this.turn(attributes, inverted);
	}

	/** The reader dragged the window away from an offered one: it is theirs now, for every image. */
	noteDrag(): void {
		if (this.choice.kind !== "offered" || this.setting) return;
		this.choice = { kind: "fixed", shape: this.shape };
	}

	/** A preset: the same for every image of the stack. */
	choose(voi: Voi, attributes: DataSet, inverted: boolean): void {
		const index = this.offered(attributes).findIndex((each) => sameVoi(each, voi));
		this.choice = index < 0 ? { kind: "fixed", shape: shapeOf(voi) } : { kind: "offered", index };
		this.shape = shapeOf(voi);
		this.setRange(rangeOf(voi));
		this.turn(attributes, inverted);
	}

	/** As the image came; from now on each image brings its own again. */
	reset(attributes: DataSet, inverted: boolean): void {
		const viewport = this.viewport();
		const image = viewport?.getCornerstoneImage();
		if (!viewport || !image || image.color) return;
		const center = first(image.windowCenter);
		const half = (first(image.windowWidth) - 1) / 2;
		this.choice = OWN;
		this.setRange({ lower: center - 0.5 - half, upper: center - 0.5 + half });
		(viewport as unknown as KeepsWindow).voiUpdatedWithSetProperties = false;
		this.adopt(attributes, inverted);
	}

	/** Another series: nothing of the last one's choice stays. */
	forget(): void {
		this.choice = OWN;
		this.shape = LINEAR;
	}

	private setRange(range: Range): void {
		this.setting = true;
		this.viewport()?.setProperties({ voiRange: { ...range } });
		this.setting = false;
	}

	/** The curve in force, bright side up or turned over. */
	turn(attributes: DataSet, inverted: boolean): void {
		const viewport = this.viewport();
		const range = viewport?.getProperties().voiRange;
		if (!viewport || !range) return;
		const turned = isInverted(attributes) !== inverted;
		// The engine has to know, or it turns the curve once more when it is asked to.
		viewport.setProperties({ invert: turned });
		const padding = paddingOf(attributes);
		this.drawsCurves = installCurve(
			viewport,
			{ shape: this.shape, inverted: turned, padding },
			range,
		);
	}
}

function sameVoi(a: Voi, b: Voi): boolean {
	if (a.kind === "table" || b.kind === "table") {
		return a.kind === "table" && b.kind === "table" && a.table === b.table;
	}
	return (
		a.name === b.name && a.center === b.center && a.width === b.width && a.function === b.function
	);
}

function first(value: number | number[]): number {
	return (Array.isArray(value) ? value[0] : value) ?? 0;
}
