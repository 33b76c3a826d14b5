import { describe, expect, it } from "vitest";
import type { StudyPage, StudyRow } from "../dicomweb/studies";
import { arrivals, dropRows, patchRows } from "./studyList";

const row = (uid: string, images = 1) =>
	({ StudyInstanceUID: uid, NumberOfStudyRelatedInstances: images }) as StudyRow;
const page = (uids: string[], next: string | null = null) =>
	({ studies: uids.map((uid) => row(uid)), next, total: uids.length }) as StudyPage;
const uids = (data: { pages: StudyPage[] }) =>
	data.pages.map((each) => each.studies.map((study) => study.StudyInstanceUID));

describe("patchRows", () => {
	it("changes a row in place and moves none", () => {
		const data = { pages: [page(["1", "2"]), page(["3"])], pageParams: [null, "x"] };
		const after = patchRows(data, [row("2", 9)]);
		expect(uids(after)).toEqual([["1", "2"], ["3"]]);
		expect(after.pages[0]?.studies[1]?.NumberOfStudyRelatedInstances).toBe(9);
	});
});

describe("dropRows", () => {
	it("takes out what is gone", () => {
		const data = { pages: [page(["1", "2"]), page(["3"])], pageParams: [null, "x"] };
		expect(uids(dropRows(data, new Set(["2", "3"])))).toEqual([["1"], []]);
	});
});

describe("arrivals", () => {
	it("replaces a single page", () => {
		const after = arrivals({ pages: [page(["1"])], pageParams: [null] }, page(["2", "1"]));
		expect(uids(after)).toEqual([["2", "1"]]);
	});
	it("keeps every row of longer lists exactly once, in order", () => {
		const data = { pages: [page(["3", "2"], "c"), page(["1"])], pageParams: [null, "c"] };
		const after = arrivals(data, page(["4", "3"], "d"));
		expect(uids(after)).toEqual([
			["4", "3"],
			["2", "1"],
		]);
		expect(after.pages[0]?.next).toBe("c");
	});
});
