/** Who the patient is, the same words at the same place on every screen. */

import { type DataSet, personName, text } from "../dicomweb/dicom-json";
import { Tag } from "./tags";

export interface Patient {
	readonly name: string;
	/** Ideographic or phonetic spelling, where one is recorded. */
	readonly otherName: string;
	readonly id: string;
	readonly issuer: string;
	readonly birthDate: string;
	readonly sex: string;
	/** Patient's Age (0010,1010) as recorded, for studies without a birth date. */
	readonly recordedAge: string;
}

/** `Family^Given^Middle^Prefix^Suffix` (PS3.5 6.2.1) as people write it: FAMILY, Prefix Given Middle. */
export function readableName(value: string): string {
	const [family = "", given = "", middle = "", prefix = "", suffix = ""] = value
		.split("^")
		.map((part) => part.trim());
	const rest = [prefix, given, middle, suffix].filter(Boolean).join(" ");
	return [family, rest].filter(Boolean).join(", ");
}

export function patientOf(row: DataSet): Patient {
	const name = personName(row, Tag.PatientName);
	const alphabetic = readableName(name.Alphabetic ?? "");
	const other = [name.Ideographic, name.Phonetic]
		.map((group) => (group ?? "").replaceAll("^", " ").trim())
		.filter(Boolean);
	return {
		name: alphabetic || other[0] || "No name recorded",
		otherName: alphabetic ? other.join(" · ") : other.slice(1).join(" · "),
		id: text(row, Tag.PatientID),
		issuer: text(row, Tag.IssuerOfPatientID),
		birthDate: text(row, Tag.PatientBirthDate),
		sex: text(row, Tag.PatientSex),
		recordedAge: text(row, Tag.PatientAge),
	};
}

/** Completed years at the date, or months and weeks for the very young; "" when unknown. */
export function ageAt(birthDate: string, date: string): string {
	const born = parts(birthDate);
	const then = parts(date);
	if (!born || !then) return "";
	const months =
		(then.year - born.year) * 12 + then.month - born.month - (then.day < born.day ? 1 : 0);
	if (months < 0) return "";
	if (months >= 24) return String(Math.floor(months / 12));
	if (months >= 2) return `${months} months`;
	const days =
		(Date.UTC(then.year, then.month - 1, then.day) -
			Date.UTC(born.year, born.month - 1, born.day)) /
		86_400_000;
	return days >= 14 ? `${Math.floor(days / 7)} weeks` : `${days} ${days === 1 ? "day" : "days"}`;
}

/** Patient's Age as recorded: 034Y, 006M, 002W, 003D. */
export function readableAge(recorded: string): string {
	const match = /^(\d{1,3})([DWMY])$/.exec(recorded);
	if (!match) return "";
	const count = Number(match[1]);
	const unit = { D: "day", W: "week", M: "month", Y: "" }[match[2] as "D" | "W" | "M" | "Y"];
	return unit ? `${count} ${unit}${count === 1 ? "" : "s"}` : String(count);
}

/** The age at the time of the study: from the birth date, else as recorded. */
export function ageOf(patient: Patient, studyDate: string): string {
	return ageAt(patient.birthDate, studyDate) || readableAge(patient.recordedAge);
}

/** `12 Mar 1961 (65)`, or the age alone where no birth date is recorded: `65 y`. */
export function birthWords(birthDate: string, age: string): string {
	const date = readableDate(birthDate);
	if (date) return age ? `${date} (${age})` : date;
	return /^\d+$/.test(age) ? `${age} y` : age;
}

function parts(date: string): { year: number; month: number; day: number } | undefined {
	const match = /^(\d{4})[.-]?(\d{2})[.-]?(\d{2})$/.exec(date);
	if (!match) return undefined;
	const [year, month, day] = match.slice(1).map(Number) as [number, number, number];
	return month >= 1 && month <= 12 && day >= 1 && day <= 31 ? { year, month, day } : undefined;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A date that cannot be misread: 3 Mar 1961. What is no date is shown as it is. */
export function readableDate(date: string): string {
	const found = parts(date);
	return found ? `${found.day} ${MONTHS[found.month - 1]} ${found.year}` : date;
}

/** 14:05, or "" when absent. */
export function readableTime(time: string): string {
	const match = /^(\d{2}):?(\d{2})/.exec(time);
	return match ? `${match[1]}:${match[2]}` : "";
}

/** F, M, O, or nothing. */
export function readableSex(sex: string): string {
	return ["F", "M", "O"].includes(sex) ? sex : "";
}
