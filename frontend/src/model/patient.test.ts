import { describe, expect, it } from "vitest";
import { ageAt, ageOf, birthWords, patientOf, readableDate, readableName } from "./patient";
import { priorsOf, studyOf } from "./series";
import { dataSet } from "./dataset-builder";
import { Tag } from "./tags";

describe("birth date and age", () => {
	it("says the age alone where no birth date is recorded", () => {
		expect(birthWords("19610312", "65")).toBe("12 Mar 1961 (65)");
		expect(birthWords("19610312", "")).toBe("12 Mar 1961");
		expect(birthWords("", "65")).toBe("65 y");
		expect(birthWords("", "6 months")).toBe("6 months");
		expect(birthWords("", "")).toBe("");
	});
});

describe("age", () => {
	it("counts completed years at the study", () => {
		expect(ageAt("19610312", "20260311")).toBe("64");
		expect(ageAt("19610312", "20260312")).toBe("65");
	});

	it("counts months, weeks and days of the very young", () => {
		expect(ageAt("20260101", "20260110")).toBe("9 days");
		expect(ageAt("20260101", "20260120")).toBe("2 weeks");
		expect(ageAt("20250101", "20260120")).toBe("12 months");
	});

	it("is unknown rather than wrong", () => {
		expect(ageAt("", "20260101")).toBe("");
		expect(ageAt("20270101", "20260101")).toBe("");
		expect(ageAt("1961", "20260101")).toBe("");
		expect(ageOf(patientOf(dataSet({ PatientAge: "034Y" })), "20260101")).toBe("34");
	});
});

describe("names and dates", () => {
	it("writes names as people do", () => {
		expect(readableName("Osterman^Phillip^B.^Dr^MD")).toBe("Osterman, Dr Phillip B. MD");
		expect(readableName("^^^^ ")).toBe("");
	});

	it("keeps the ideographic name beside the alphabetic one", () => {
		const row = {
			[Tag.PatientName]: {
				vr: "PN",
				Value: [{ Alphabetic: "Yamada^Tarou", Ideographic: "山田^太郎" }],
			},
		};
		expect(patientOf(row)).toMatchObject({ name: "Yamada, Tarou", otherName: "山田 太郎" });
	});

	it("writes dates that cannot be misread, and leaves what is no date", () => {
		expect(readableDate("20260403")).toBe("3 Apr 2026");
		expect(readableDate("2026.04.03")).toBe("3 Apr 2026");
		expect(readableDate("unknown")).toBe("unknown");
	});
});

describe("priorsOf", () => {
	const study = (uid: string, date: string, more: Parameters<typeof dataSet>[0] = {}) =>
		studyOf(
			dataSet({
				StudyInstanceUID: uid,
				StudyDate: date,
				PatientID: "7",
				PatientBirthDate: "19610312",
				...more,
			}),
		);

	it("leaves out what may belong to another patient", () => {
		const here = study("1", "20260101");
		const found = [
			here,
			study("2", "20250101"),
			study("3", "20240101", { PatientBirthDate: "19700101" }),
			study("4", "20230101", { PatientID: "77" }),
		];
		expect(priorsOf(here, found).map((each) => each.studyInstanceUID)).toEqual(["1", "2"]);
	});
});
