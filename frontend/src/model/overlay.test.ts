import { describe, expect, it } from "vitest";
import { AXIAL, dataSet } from "./dataset-builder";
import { overlayCorners, scaleBar } from "./overlay";
import { LINEAR, shapeOf } from "./voi";
import { isHounsfield, voiPresets, voiWords, windowName } from "./windows";

const shown = (values: Parameters<typeof dataSet>[0]) => ({
	attributes: dataSet(values),
	index: 2,
	count: 240,
	window: { center: 40, width: 400 },
	shape: LINEAR,
	approximated: false,
	color: false,
	zoom: 1.3333,
	inverted: false,
	rotation: 0,
	flipped: false,
});

describe("overlayCorners", () => {
	it("says who, which image, where, how it is windowed", () => {
		const corners = overlayCorners(
			shown({
				PatientName: "DOE^Jane",
				PatientID: "77",
				PatientBirthDate: "19610312",
				PatientSex: "F",
				StudyDate: "20260401",
				Modality: "CT",
				ImageOrientationPatient: AXIAL,
				ImagePositionPatient: [0, 0, -12.25],
				SliceThickness: 1.25,
				PixelSpacing: [0.7, 0.7],
			}),
		);
		expect(corners.topLeft).toEqual(["DOE, Jane", "77  65 y  F", "12 Mar 1961"]);
		expect(corners.bottomLeft).toEqual([
			"3/240",
			"axial  \u221212.3\u2009mm  thick 1.25\u2009mm",
			"W 400 L 40  soft tissue",
		]);
		expect(corners.bottomRight).toEqual(["zoom 1.33\u00d7", "pixel spacing"]);
	});

	it("PIX-11: marks a lossy image, with its ratio where known", () => {
		const lossy = { LossyImageCompression: "01", LossyImageCompressionRatio: 12.4 };
		expect(overlayCorners(shown(lossy)).bottomRight).toContain("lossy 12:1");
		expect(overlayCorners(shown({ LossyImageCompression: "00" })).bottomRight).not.toContain(
			"lossy",
		);
	});

	it("says what the file asks for and the viewer does not do", () => {
		const grey = { PhotometricInterpretation: "MONOCHROME2" };
		const corners = (more: Parameters<typeof dataSet>[0], approximated = false) =>
			overlayCorners({ ...shown({ ...grey, ...more }), approximated }).bottomRight;
		expect(corners({}, true)).toContain("VOI LUT shown as window");
		expect(corners({})).not.toContain("VOI LUT shown as window");
		expect(corners({ RedPaletteDescriptor: [256, 0, 16], PixelPresentation: "MIXED" })).toContain(
			"supplemental colours not shown",
		);
	});

	it("names a VOI LUT, and the window it was stretched over", () => {
		const table = { first: 0, entries: Uint16Array.of(0, 1, 2, 3), bits: 2, name: "HARDER" };
		const shape = shapeOf({ kind: "table", name: "harder", table });
		const lines = (window: { center: number; width: number }) =>
			overlayCorners({ ...shown({}), shape, window }).bottomLeft;
		expect(lines({ center: 1.5, width: 4 })).toContain("VOI LUT harder");
		expect(lines({ center: 20, width: 40 })).toContain("VOI LUT harder  W 40 L 20");
	});

	it("has no window over a colour image and names what was done to the picture", () => {
		const corners = overlayCorners({
			...shown({ Modality: "US" }),
			color: true,
			rotation: 90,
			flipped: true,
		});
		expect(corners.bottomLeft).toEqual(["3/240"]);
		expect(corners.bottomRight).toContain("flipped  rotated 90\u00b0");
	});

	it("is made of what is there: no empty lines", () => {
		const { topLeft, topRight } = overlayCorners(shown({}));
		expect([...topLeft, ...topRight]).toEqual(["No name recorded"]);
	});
});

describe("windows", () => {
	it("takes CT for Hounsfield units unless it says otherwise", () => {
		expect(isHounsfield(dataSet({ Modality: "CT" }))).toBe(true);
		expect(isHounsfield(dataSet({ Modality: "CT", RescaleType: "HU" }))).toBe(true);
		expect(isHounsfield(dataSet({ Modality: "CT", RescaleType: "MGML" }))).toBe(false);
		expect(
			isHounsfield(dataSet({ Modality: "CT", ImageType: ["ORIGINAL", "PRIMARY", "LOCALIZER"] })),
		).toBe(false);
		expect(isHounsfield(dataSet({ Modality: "MR", RescaleType: "HU" }))).toBe(false);
	});

	it("offers recorded windows where the modality has no presets", () => {
		const mr = dataSet({
			Modality: "MR",
			WindowCenter: [100, 50],
			WindowWidth: [200, 20],
			WindowCenterWidthExplanation: ["WINDOW1", "WINDOW2"],
		});
		expect(voiPresets(mr).map((each) => each.name)).toEqual(["window1", "window2"]);
		expect(windowName(mr, { center: 50, width: 20 }, LINEAR)).toBe("window2");
		expect(windowName(mr, { center: 50, width: 21 }, LINEAR)).toBe("");
	});

	it("PIX-05: offers windows and VOI LUTs as alternatives, windows first", () => {
		const table = { first: 0, entries: Uint16Array.of(0, 4095), bits: 12, name: "NORMAL" };
		const mg = dataSet({
			Modality: "MG",
			WindowCenter: 2653,
			WindowWidth: 900,
			VOILUTFunction: "SIGMOID",
		});
		expect(voiPresets(mg, [table]).map(voiWords)).toEqual(["W 900 L 2653 sigmoid", "VOI LUT"]);
	});
});

describe("scaleBar", () => {
	it("is a round length that fits", () => {
		expect(scaleBar(0.35)).toEqual({ mm: 50, pixels: 50 / 0.35 });
		expect(scaleBar(undefined)).toBeUndefined();
	});
});
