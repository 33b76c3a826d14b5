import { describe, expect, it } from "vitest";
import { type Drawing, mergeDrawings, sameDrawings } from "./drawing";

const line = (id: string, length = 10, text = ""): Drawing => ({
	id,
	tool: "length",
	seriesInstanceUID: "1.1",
	sopInstanceUID: "1.1.1",
	frameNumber: 1,
	points: [
		[0, 0],
		[length, 0],
	],
	labelAt: undefined,
	text,
	note: "",
	readings: [{ name: "Length", value: length, unit: "mm" }],
});
const ids = (list: Drawing[]) => list.map((each) => each.id).sort();

describe("two windows on one draft", () => {
	it("keep what each has drawn", () => {
		expect(ids(mergeDrawings([line("a")], [line("a"), line("b")], [line("a"), line("c")]))).toEqual(
			["a", "b", "c"],
		);
	});

	it("keep deletions of either", () => {
		const base = [line("a"), line("b"), line("c")];
		expect(ids(mergeDrawings(base, [line("b"), line("c")], [line("a"), line("b")]))).toEqual(["b"]);
	});

	it("take a change from the window that made it, and from this one when both did", () => {
		const base = [line("a"), line("b")];
		const merged = mergeDrawings(base, [line("a", 11), line("b")], [line("a", 12), line("b", 13)]);
		expect(merged.map((each) => each.points[1]?.[0])).toEqual([11, 13]);
	});

	it("keep what was changed here and deleted there", () => {
		expect(ids(mergeDrawings([line("a")], [line("a", 11)], []))).toEqual(["a"]);
		expect(ids(mergeDrawings([line("a")], [line("a")], []))).toEqual([]);
	});
});

describe("sameDrawings", () => {
	it("does not care for order and rounding", () => {
		expect(sameDrawings([line("a"), line("b")], [line("b"), line("a", 10.00001)])).toBe(true);
		expect(sameDrawings([line("a")], [line("a", 10, "words")])).toBe(false);
		expect(sameDrawings([line("a")], [])).toBe(false);
	});
});
