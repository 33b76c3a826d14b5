import { describe, expect, it } from "vitest";
import { AXIAL, dataSet } from "./dataset-builder";
import { overlayCorners, scaleBar } from "./overlay";
import { isHounsfield, windowName, windowPresets } from "./windows";

const shown = (values: Parameters<typeof dataSet>[0]) => ({
	attributes: dataSet(values),
	index: 2,
	count: 240,
	window: { center: 40, width: 400 },
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
		const lut = dataSet({ LUTDescriptor: [256, 0, 8] });
		const corners = (more: Parameters<typeof dataSet>[0]) =>
			overlayCorners(shown({ ...grey, ...more })).bottomRight;
		expect(corners({ ModalityLUTSequence: [lut] })).toContain("modality LUT not applied");
		expect(corners({ VOILUTSequence: [lut] })).toContain("VOI LUT shown as window");
		expect(corners({ VOILUTSequence: [lut], WindowCenter: 1 })).not.toContain(
			"VOI LUT shown as window",
		);
		expect(corners({ RedPaletteDescriptor: [256, 0, 16] })).toContain(
			"supplemental colours not shown",
		);
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
		expect(windowPresets(mr).map((each) => each.name)).toEqual(["window1", "window2"]);
		expect(windowName(mr, { center: 50, width: 20 })).toBe("window2");
	});
});

describe("scaleBar", () => {
	it("is a round length that fits", () => {
		expect(scaleBar(0.35)).toEqual({ mm: 50, pixels: 50 / 0.35 });
		expect(scaleBar(undefined)).toBeUndefined();
	});
});
