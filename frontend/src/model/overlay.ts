/** What stands in the four corners, from the shown image's own attributes: one table. */

import { type DataSet, number, text } from "../dicomweb/dicom-json";
import { orientationOf, planeName, slicePosition } from "./geometry";
import { ageOf, patientOf, readableDate, readableSex, readableTime } from "./patient";
import { SPACING_WORDS, spacingOf } from "./spacing";
import { Tag } from "./tags";
import { LINEAR, rangeOfWindow, type Shape, type Window } from "./voi";
import { isAsRecorded, windowName } from "./windows";

export interface OverlayState {
	readonly attributes: DataSet;
	/** From 0. */
	readonly index: number;
	readonly count: number;
	readonly window: Window | undefined;
	/** How values become grey over that window. */
	readonly shape: Shape | undefined;
	/** The browser draws without a graphics card and knows straight lines only. */
	readonly approximated: boolean;
	readonly color: boolean;
	/** Screen pixels per image pixel. */
	readonly zoom: number | undefined;
	readonly inverted: boolean;
	readonly rotation: number;
	readonly flipped: boolean;
}

export interface Corners {
	topLeft: string[];
	topRight: string[];
	bottomLeft: string[];
	bottomRight: string[];
}

type Line = (state: OverlayState) => string;
type Corner = keyof Corners;

/** Up to four significant digits, no trailing zeros, a real minus sign. */
export function figure(value: number, digits = 1): string {
	return String(Number(value.toFixed(digits))).replace("-", "\u2212");
}

const labelled =
	(label: string, tag: string, unit = "", digits = 1): Line =>
	({ attributes }) => {
		const value = number(attributes, tag);
		return value === undefined ? "" : `${label} ${figure(value, digits)}${unit && `\u2009${unit}`}`;
	};
const plain =
	(tag: string): Line =>
	({ attributes }) =>
		text(attributes, tag);

const patientName: Line = ({ attributes }) => patientOf(attributes).name;
const patientIdentity: Line = ({ attributes }) => {
	const patient = patientOf(attributes);
	const age = ageOf(patient, text(attributes, Tag.StudyDate));
	return [patient.id, age && `${age}${/\d$/.test(age) ? " y" : ""}`, readableSex(patient.sex)]
		.filter(Boolean)
		.join("  ");
};
const birthDate: Line = ({ attributes }) => readableDate(text(attributes, Tag.PatientBirthDate));
const when: Line = ({ attributes }) =>
	[
		readableDate(text(attributes, Tag.AcquisitionDate) || text(attributes, Tag.StudyDate)),
		readableTime(text(attributes, Tag.AcquisitionTime) || text(attributes, Tag.StudyTime)),
	]
		.filter(Boolean)
		.join(" ");
const series: Line = ({ attributes }) => {
	const seriesNumber = text(attributes, Tag.SeriesNumber);
	return [seriesNumber && `${seriesNumber}`, text(attributes, Tag.SeriesDescription)]
		.filter(Boolean)
		.join(" · ");
};
const imageNumber: Line = ({ index, count }) => `${index + 1}/${count}`;
const slice: Line = ({ attributes }) => {
	const orientation = orientationOf(attributes);
	const position = slicePosition(attributes) ?? number(attributes, Tag.SliceLocation);
	const thickness = number(attributes, Tag.SliceThickness);
	return [
		orientation && planeName(orientation),
		position !== undefined && `${figure(position)}\u2009mm`,
		thickness !== undefined && `thick ${figure(thickness, 2)}\u2009mm`,
	]
		.filter(Boolean)
		.join("  ");
};
const view: Line = ({ attributes }) =>
	[
		text(attributes, Tag.ImageLaterality) || text(attributes, Tag.Laterality),
		text(attributes, Tag.ViewPosition),
	]
		.filter(Boolean)
		.join(" ");
const FUNCTION_WORDS = { LINEAR: "", LINEAR_EXACT: "exact", SIGMOID: "sigmoid" } as const;

const windowLine: Line = ({ attributes, window, shape = LINEAR, color }) => {
	if (!window || color) return "";
	const words = `W ${figure(window.width, 0)} L ${figure(window.center, 0)}`;
	if (shape.kind === "table") {
		const name = ["VOI LUT", shape.table.name.toLowerCase()].filter(Boolean).join(" ");
		return isAsRecorded(shape, rangeOfWindow(window, "LINEAR_EXACT")) ? name : `${name}  ${words}`;
	}
	const name = windowName(attributes, window, shape);
	return [words, name, FUNCTION_WORDS[shape.function]].filter(Boolean).join("  ");
};
const exposure: Line = (state) =>
	[labelled("", Tag.KVP, "kV", 0)(state), labelled("", Tag.XRayTubeCurrent, "mA", 0)(state)]
		.map((part) => part.trim())
		.filter(Boolean)
		.join("  ");
const times: Line = (state) =>
	[labelled("TR", Tag.RepetitionTime, "ms", 0)(state), labelled("TE", Tag.EchoTime, "ms")(state)]
		.filter(Boolean)
		.join("  ");
const zoomLine: Line = ({ zoom }) => (zoom === undefined ? "" : `zoom ${figure(zoom, 2)}\u00d7`);
const spacingLine: Line = ({ attributes }) => SPACING_WORDS[spacingOf(attributes).source];
const turned: Line = ({ inverted, rotation, flipped }) =>
	[inverted && "inverted", flipped && "flipped", rotation !== 0 && `rotated ${rotation}\u00b0`]
		.filter(Boolean)
		.join("  ");
const lossy: Line = ({ attributes }) => {
	if (text(attributes, Tag.LossyImageCompression) !== "01") return "";
	const ratio = number(attributes, Tag.LossyImageCompressionRatio);
	return ratio === undefined ? "lossy" : `lossy ${figure(ratio, 0)}:1`;
};

/** What the file asks for and this viewer does not do is said, never passed over. */
const notApplied: Line = ({ attributes, approximated }) => {
	const grey = text(attributes, Tag.PhotometricInterpretation).startsWith("MONOCHROME");
	if (!grey) return "";
	const colored = ["COLOR", "MIXED"].includes(text(attributes, Tag.PixelPresentation));
	return [
		colored && attributes[Tag.RedPaletteDescriptor] && "supplemental colours not shown",
		approximated && "VOI LUT shown as window",
	]
		.filter(Boolean)
		.join(", ");
};

/** Which modality shows which line; "*" is every modality. Order is order on the screen. */
const TABLE: readonly (readonly [corner: Corner, modalities: string, line: Line])[] = [
	["topLeft", "*", patientName],
	["topLeft", "*", patientIdentity],
	["topLeft", "*", birthDate],
	["topRight", "*", plain(Tag.InstitutionName)],
	["topRight", "*", plain(Tag.StudyDescription)],
	["topRight", "*", when],
	["topRight", "*", plain(Tag.AccessionNumber)],
	["bottomLeft", "*", series],
	["bottomLeft", "CR DX MG IO PX RG", view],
	["bottomLeft", "CT DX CR XA RF MG", exposure],
	["bottomLeft", "MR", times],
	["bottomLeft", "*", imageNumber],
	["bottomLeft", "CT MR PT NM", slice],
	["bottomLeft", "*", windowLine],
	["bottomRight", "*", notApplied],
	["bottomRight", "*", lossy],
	["bottomRight", "*", turned],
	["bottomRight", "*", zoomLine],
	["bottomRight", "*", spacingLine],
];

export function overlayCorners(state: OverlayState): Corners {
	const corners: Corners = { topLeft: [], topRight: [], bottomLeft: [], bottomRight: [] };
	const modality = text(state.attributes, Tag.Modality);
	for (const [corner, modalities, line] of TABLE) {
		if (modalities !== "*" && !modalities.split(" ").includes(modality)) continue;
		const words = line(state);
		if (words) corners[corner].push(words);
	}
	return corners;
}

/** A round length for the scale bar that is between 60 and 160 screen pixels; undefined without mm. */
export function scaleBar(
	mmPerPixel: number | undefined,
): { mm: number; pixels: number } | undefined {
	if (!mmPerPixel || !Number.isFinite(mmPerPixel)) return undefined;
	for (const mm of [500, 200, 100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1]) {
		const pixels = mm / mmPerPixel;
		if (pixels <= 160) return { mm, pixels };
	}
	return undefined;
}
