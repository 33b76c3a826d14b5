import { describe, expect, it } from "vitest";
import type { Transfer } from "../dicomweb/peers";
import { byStudy, isForOthers, presenceOf, presenceText, transferText } from "./transfer";

const transfer = (changes: Partial<Transfer>): Transfer => ({
	id: 1,
	kind: "pull",
	state: "running",
	protocol: "dimse",
	peer_title: "FAR",
	study_instance_uid: "1.2",
	method: "move",
	total: 0,
	completed: 0,
	warning: 0,
	failed: 0,
	attempts: 1,
	most_attempts: 6,
	asked_by_name: "anna",
	shared: false,
	message: "",
	not_before: "",
	...changes,
});

describe("how much of a study is here", () => {
	it.each([
		[0, 10, "none", "not here"],
		[4, 10, "part", "4 of 10 here"],
		[10, 10, "all", "here"],
		[12, 10, "all", "here"],
		[4, null, "unknown", "4 here"],
		[0, null, "none", "not here"],
		[null, 10, "unknown", "unknown"],
	])("%s of %s", (here, there, presence, words) => {
		expect(presenceOf({ here, there })).toBe(presence);
		expect(presenceText({ here, there })).toBe(words);
	});
});

describe("whom a transfer is for", () => {
	it.each([
		["anna", false, false],
		["anna", true, true],
		["bert", false, true],
		["bert", true, true],
	])("as %s, shared: %s", (user, shared, others) => {
		expect(isForOthers(transfer({ shared }), user)).toBe(others);
	});
});

describe("how a transfer stands", () => {
	it("counts what is settled", () => {
		expect(transferText(transfer({}))).toBe("asking");
		expect(transferText(transfer({ total: 9, completed: 3, failed: 1 }))).toBe("4 of 9");
	});
	it("says why it waits and how it ended", () => {
		expect(transferText(transfer({ state: "waiting", attempts: 0 }))).toBe("waiting");
		expect(transferText(transfer({ state: "waiting", attempts: 1 }))).toBe("waits, attempt 2 of 6");
		expect(transferText(transfer({ state: "partly", total: 9, failed: 2 }))).toBe("2 of 9 failed");
		expect(transferText(transfer({ state: "succeeded", warning: 2 }))).toBe(
			"done, 2 with a warning",
		);
	});
});

it("the newest transfer of a study counts, and what is sent does not", () => {
	const found = byStudy([
		transfer({ id: 2, state: "succeeded" }),
		transfer({ id: 1, state: "failed" }),
		transfer({ id: 9, kind: "send", study_instance_uid: "" }),
	]);
	expect([...found.keys()]).toEqual(["1.2"]);
	expect(found.get("1.2")?.id).toBe(2);
});
