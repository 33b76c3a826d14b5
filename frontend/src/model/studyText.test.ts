import { describe, expect, it } from "vitest";
import {
	agoText,
	ageText,
	dateText,
	patientLine,
	personName,
	sizeText,
	timeText,
} from "./studyText";

describe("personName", () => {
	it("reads the alphabetic group family name first", () => {
		expect(personName("DOE^JANE^M^DR^JR")).toBe("DOE, JANE M");
		expect(personName("DOE")).toBe("DOE");
		expect(personName("^JANE")).toBe("JANE");
		expect(personName("")).toBe("");
	});
	it("puts the ideographic group in front", () => {
		expect(personName("Yamada^Tarou=山田^太郎=やまだ^たろう")).toBe("山田, 太郎 (Yamada, Tarou)");
	});
});

describe("dates and ages", () => {
	it("never shows an ambiguous date", () => {
		expect(dateText("19610312")).toMatch(/Mar/);
		expect(dateText("19610312")).toMatch(/1961/);
		expect(dateText("unknown")).toBe("unknown");
	});
	it("counts the age on the day of the study", () => {
		expect(ageText("19610312", "20260311")).toBe("64 y");
		expect(ageText("19610312", "20260312")).toBe("65 y");
		expect(ageText("20260101", "20260715")).toBe("6 mo");
		expect(ageText("20260701", "20260715")).toBe("14 d");
		expect(ageText("20270101", "20260715")).toBe("");
		expect(ageText("", "20260715")).toBe("");
	});
	it("shortens times", () => {
		expect(timeText("140530.123")).toBe("14:05");
		expect(timeText("14:05:30")).toBe("14:05");
	});
	it("tells how long ago", () => {
		const now = Date.parse("2026-05-01T12:00:00Z");
		expect(agoText("2026-05-01T11:59:40Z", now)).toBe("just now");
		expect(agoText("2026-05-01T11:57:00Z", now)).toBe("3 min ago");
		expect(agoText("2026-05-01T07:00:00Z", now)).toBe("5 h ago");
	});
});

describe("lines", () => {
	it("keeps identifier, birth date with age and sex together", () => {
		const line = patientLine({
			PatientID: "4711",
			PatientBirthDate: "19610312",
			PatientSex: "F",
			StudyDate: "20260312",
		});
		expect(line.startsWith("4711 · ")).toBe(true);
		expect(line.endsWith("(65 y) · F")).toBe(true);
	});
	it("says when there is no identifier", () => {
		const line = patientLine({
			PatientID: "",
			PatientBirthDate: "",
			PatientSex: "",
			StudyDate: "",
		});
		expect(line).toBe("no ID");
	});
	it("gives sizes in decimal units", () => {
		expect(sizeText(526_000)).toBe("526 kB");
		expect(sizeText(263_000_000)).toBe("263 MB");
	});
});
