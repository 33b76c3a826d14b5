import { describe, expect, it } from "vitest";
import { dataSet } from "./dataset-builder";
import { spacingOf } from "./spacing";

const region = (delta: number, units = 3) =>
	dataSet({
		PhysicalUnitsXDirection: units,
		PhysicalUnitsYDirection: units,
		PhysicalDeltaX: delta,
		PhysicalDeltaY: delta,
	});

describe("PIX-09: what a millimetre rests on", () => {
	it("takes Pixel Spacing of a slice for what it is", () => {
		expect(spacingOf(dataSet({ Modality: "CT", PixelSpacing: [0.5, 0.25] }))).toEqual({
			row: 0.5,
			column: 0.25,
			source: "patient",
		});
	});

	it("calls a projection calibrated only when it says or shows so", () => {
		const dx = { Modality: "DX", ImagerPixelSpacing: [0.14, 0.14] };
		expect(spacingOf(dataSet({ ...dx, PixelSpacing: [0.14, 0.14] })).source).toBe("imager");
		expect(spacingOf(dataSet({ ...dx, PixelSpacing: [0.12, 0.12] })).source).toBe("calibrated");
		expect(
			spacingOf(
				dataSet({ ...dx, PixelSpacing: [0.14, 0.14], PixelSpacingCalibrationType: "FIDUCIAL" }),
			).source,
		).toBe("calibrated");
		expect(spacingOf(dataSet(dx)).source).toBe("imager");
	});

	it("has no millimetres without a source, nor with zero or negative ones", () => {
		expect(spacingOf(dataSet({ Modality: "CR" }))).toEqual({
			row: undefined,
			column: undefined,
			source: "none",
		});
		expect(spacingOf(dataSet({ Modality: "CT", PixelSpacing: [0, 0] })).source).toBe("none");
	});

	it("goes by ultrasound regions, and only where they agree", () => {
		const us = (regions: ReturnType<typeof region>[]) =>
			spacingOf(
				dataSet({ Modality: "US", PixelSpacing: [9, 9], SequenceOfUltrasoundRegions: regions }),
			);
		expect(us([region(0.02)])).toEqual({ row: 0.2, column: 0.2, source: "region" });
		expect(us([region(0.02), region(0.03)]).source).toBe("none");
		expect(us([region(0.02, 4)]).source).toBe("none");
	});
});
