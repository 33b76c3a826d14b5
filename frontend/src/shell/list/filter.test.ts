import { describe, expect, it } from "vitest";
import {
	dateWord,
	filterFromSearch,
	isFiltered,
	lifted,
	NO_FILTER,
	sameFilter,
	setParts,
} from "./filter";

describe("filter", () => {
	it("survives the address", () => {
		const filter = filterFromSearch("?q=doe&modality=CT&modality=MR&date=7d");
		expect(setParts(filter)).toEqual({ q: "doe", modality: ["CT", "MR"], date: "7d" });
		expect(isFiltered(filterFromSearch(""))).toBe(false);
	});
	it("is lifted part by part, the whole date at once", () => {
		const filter = { ...NO_FILTER, q: "doe", date_from: "20260101", modality: ["CT"] };
		expect(setParts(lifted(filter, "date_to"))).toEqual({ q: "doe", modality: ["CT"] });
		expect(setParts(lifted(filter, "modality"))).toEqual({ q: "doe", date_from: "20260101" });
	});
	it("is the same whatever the order of modalities", () => {
		const one = { ...NO_FILTER, modality: ["CT", "MR"] };
		expect(sameFilter(one, { ...NO_FILTER, modality: ["MR", "CT"] })).toBe(true);
		expect(sameFilter(one, NO_FILTER)).toBe(false);
	});
	it("says its date in a word", () => {
		expect(dateWord(NO_FILTER)).toBe("Any");
		expect(dateWord({ ...NO_FILTER, date: "7d" })).toBe("7 days");
		expect(dateWord({ ...NO_FILTER, date_from: "20260102" })).toBe("from 02.01.26");
		const span = { ...NO_FILTER, date_from: "20260102", date_to: "20260103" };
		expect(dateWord(span)).toBe("02.01.26 – 03.01.26");
	});
});
