import { describe, expect, it } from "vitest";
import type { HeaderElement } from "../dicomweb/client";
import { ABSENT, asText, comparedRows, differingPaths, headerRows, visibleRows } from "./header";

const element = (depth: number, tag: string, keyword: string, value = ""): HeaderElement => ({
	depth,
	tag,
	vr: "LO",
	vm: 1,
	length: value.length,
	keyword,
	name: keyword,
	creator: "",
	value,
	truncated: false,
});

const rows = headerRows([
	element(0, "00100010", "PatientName", "DOE^JANE"),
	element(0, "00081140", "ReferencedImageSequence"),
	element(0, "FFFEE000", "Item"),
	element(1, "00081150", "ReferencedSOPClassUID", "1.2"),
	element(1, "00081155", "ReferencedSOPInstanceUID", "1.2.3"),
	element(0, "00280010", "Rows", "512"),
]);
const tags = (found: readonly { tag: string }[]) => found.map((row) => row.tag);

describe("header rows", () => {
	it("folds what lies inside a sequence", () => {
		const sequence = rows[1]?.path ?? "";
		expect(rows.map((row) => row.folds)).toEqual([false, true, true, false, false, false]);
		expect(tags(visibleRows(rows, new Set([sequence]), ""))).toEqual([
			"00100010",
			"00081140",
			"00280010",
		]);
	});

	it("finds by value, keyword and tag, and shows what a match lies in", () => {
		expect(tags(visibleRows(rows, new Set(), "jane"))).toEqual(["00100010"]);
		expect(tags(visibleRows(rows, new Set(), "(0008,1155)"))).toEqual([
			"00081140",
			"FFFEE000",
			"00081155",
		]);
	});

	it("tells where two headers differ, also by what only one has", () => {
		const other = headerRows([
			element(0, "00100010", "PatientName", "DOE^JOHN"),
			element(0, "00280010", "Rows", "512"),
		]);
		expect([...differingPaths(rows, other)]).toContain("00100010");
		expect([...differingPaths(rows, other)]).not.toContain("00280010");
		expect([...differingPaths(rows, other)]).toContain("00081140/FFFEE000/00081155");
	});

	it("copies as text, nested as stored", () => {
		expect(asText(rows).split("\n")[3]).toBe("    (0008,1150) LO 3 ReferencedSOPClassUID: 1.2");
	});
});

describe("two headers side by side", () => {
	it("has every element of both, in order, with both values", () => {
		const other = headerRows([
			element(0, "00080016", "SOPClassUID", "1.2"),
			element(0, "00100010", "PatientName", "DOE^JOHN"),
			element(0, "00100020", "PatientID", "7"),
			element(0, "00280010", "Rows", "512"),
		]);
		const both = comparedRows(rows, other);
		expect(both.map((row) => [row.keyword, row.value, row.other])).toEqual([
			["SOPClassUID", ABSENT, "1.2"],
			["PatientName", "DOE^JANE", "DOE^JOHN"],
			["PatientID", ABSENT, "7"],
			["ReferencedImageSequence", "", ABSENT],
			["Item", "", ABSENT],
			["ReferencedSOPClassUID", "1.2", ABSENT],
			["ReferencedSOPInstanceUID", "1.2.3", ABSENT],
			["Rows", "512", "512"],
		]);
		expect(asText(both.slice(1, 2))).toContain("DOE^JANE | DOE^JOHN");
		expect(tags(visibleRows(both, new Set(), "john"))).toEqual(["00100010"]);
	});
});
