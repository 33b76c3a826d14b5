import { describe, expect, it } from "vitest";
import { dataSet } from "./dataset-builder";
import {
	directionLetters,
	edgeLetters,
	edgeLettersOfProjection,
	orientationOf,
	planeName,
	slicePosition,
} from "./geometry";

const axial = { row: [1, 0, 0], column: [0, 1, 0] } as const;

describe("orientation", () => {
	it("names the edges of an axial image: right of the patient at the left", () => {
		expect(edgeLetters(axial.row, axial.column)).toEqual({
			top: "A",
			right: "L",
			bottom: "P",
			left: "R",
		});
	});

	it("names both components of an oblique direction, the larger first", () => {
		expect(directionLetters([0.8, 0.6, 0])).toBe("LP");
		expect(directionLetters([0.99, 0.1, 0])).toBe("L");
	});

	it("is unknown when absent or no pair of unit vectors", () => {
		expect(orientationOf(dataSet({}))).toBeUndefined();
		expect(orientationOf(dataSet({ ImageOrientationPatient: [1, 0, 0, 1, 0, 0] }))).toBeUndefined();
		expect(orientationOf(dataSet({ ImageOrientationPatient: [0, 0, 0, 0, 0, 0] }))).toBeUndefined();
	});

	it("names planes", () => {
		expect(planeName({ row: [1, 0, 0], column: [0, 1, 0] })).toBe("axial");
		expect(planeName({ row: [1, 0, 0], column: [0, 0, -1] })).toBe("coronal");
		expect(planeName({ row: [0, 1, 0], column: [0, 0, -1] })).toBe("sagittal");
		expect(planeName({ row: [1, 0, 0], column: [0, 0.9, 0.436] })).toBe("oblique axial");
	});

	it("measures position along the slice's own normal", () => {
		const attributes = dataSet({
			ImageOrientationPatient: [0, 1, 0, 0, 0, -1],
			ImagePositionPatient: [12, 3, 4],
		});
		expect(slicePosition(attributes)).toBe(-12);
	});
});

describe("edgeLettersOfProjection", () => {
	const chest = dataSet({ PatientOrientation: ["L", "F"] });

	it("takes Patient Orientation where there is no position in the patient", () => {
		expect(edgeLettersOfProjection(chest, [1, 0, 0], [0, 1, 0])).toEqual({
			top: "H",
			right: "L",
			bottom: "F",
			left: "R",
		});
	});

	it("follows flips and rotations", () => {
		expect(edgeLettersOfProjection(chest, [-1, 0, 0], [0, 1, 0])?.right).toBe("R");
		expect(edgeLettersOfProjection(chest, [0, -1, 0], [1, 0, 0])).toMatchObject({
			right: "H",
			bottom: "L",
		});
	});

	it("turns every letter of a compound direction round", () => {
		const mlo = dataSet({ PatientOrientation: ["P", "FL"] });
		expect(edgeLettersOfProjection(mlo, [1, 0, 0], [0, 1, 0])?.top).toBe("HR");
	});
});
