import { describe, expect, it } from "vitest";
import type { DataSet } from "../dicomweb/dicom-json";
import { readableUnit, reportOf } from "./report";

const code = (meaning: string, value = "X"): DataSet => ({
	"00080100": { vr: "SH", Value: [value] },
	"00080104": { vr: "LO", Value: [meaning] },
});
const sq = (...items: DataSet[]) => ({ vr: "SQ", Value: items });
const item = (type: string, name: string, more: DataSet = {}): DataSet => ({
	"0040A040": { vr: "CS", Value: [type] },
	"0040A010": { vr: "CS", Value: ["CONTAINS"] },
	"0040A043": sq(code(name)),
	...more,
});
const num = (name: string, value: string, unit: string, more: DataSet = {}) =>
	item("NUM", name, {
		"0040A300": sq({ "0040A30A": { vr: "DS", Value: [value] }, "004008EA": sq(code(unit, unit)) }),
		...more,
	});
const image = (uid: string) =>
	item("IMAGE", "Source", {
		"00081199": sq({
			"00081155": { vr: "UI", Value: [uid] },
			"00081160": { vr: "IS", Value: [3] },
		}),
	});

const document: DataSet = {
	"0040A040": { vr: "CS", Value: ["CONTAINER"] },
	"0040A043": sq(code("Chest CT report")),
	"0040A491": { vr: "CS", Value: ["COMPLETE"] },
	"0040A493": { vr: "CS", Value: ["VERIFIED"] },
	"0040A375": sq({
		"00081115": sq({
			"0020000E": { vr: "UI", Value: ["1.5"] },
			"00081199": sq({ "00081155": { vr: "UI", Value: ["1.5.9"] } }),
		}),
	}),
	"0040A730": sq(
		item("PNAME", "Person Observer Name", {
			"0040A010": { vr: "CS", Value: ["HAS OBS CONTEXT"] },
			"0040A123": { vr: "PN", Value: [{ Alphabetic: "Blitz^Anna" }] },
		}),
		item("CONTAINER", "Findings", {
			"0040A730": sq(
				item("TEXT", "Finding", {
					"0040A160": { vr: "UT", Value: ["A nodule."] },
					"0040A730": sq(image("1.5.9")),
				}),
				num("Diameter", "12.5", "mm", { "0040A730": sq(image("1.5.9")) }),
				num("Score", "3", "1"),
			),
		}),
	),
};

describe("reportOf", () => {
	const report = reportOf(document);

	it("says what it is and how far it is", () => {
		expect(report).toMatchObject({ title: "Chest CT report", complete: true, verified: true });
		expect(report.context).toEqual([["Person Observer Name", "Blitz, Anna"]]);
	});

	it("turns runs of numbers into one table with units", () => {
		expect(report.blocks.map((block) => block.kind)).toEqual([
			"heading",
			"finding",
			"measurements",
		]);
		const table = report.blocks[2];
		expect(
			table?.kind === "measurements" &&
				table.rows.map(({ name, value, unit }) => [name, value, unit]),
		).toEqual([
			["Diameter", "12.5", "mm"],
			["Score", "3", ""],
		]);
	});

	it("keeps references with their frame, and finds their series in the evidence", () => {
		const finding = report.blocks[1];
		expect(finding?.kind === "finding" && finding.references).toEqual([
			{ sopInstanceUID: "1.5.9", frameNumber: 3, seriesInstanceUID: "1.5" },
		]);
	});

	it("reads a document that states nothing", () => {
		expect(reportOf({})).toMatchObject({
			title: "Report",
			stated: false,
			blocks: [],
		});
	});
});

describe("units", () => {
	it("are written as people write them", () => {
		expect(["mm2", "cm3", "Gy.m2", "kg/m2", "ms", "H2O"].map(readableUnit)).toEqual([
			"mm\u00b2",
			"cm\u00b3",
			"Gy\u00b7m\u00b2",
			"kg/m\u00b2",
			"ms",
			"H2O",
		]);
	});
});
