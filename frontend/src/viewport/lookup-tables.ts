/** Modality and VOI LUTs of the open study's images, read before an image is shown. */

import { type DataSet, items, number, text } from "../dicomweb/dicom-json";
import { type LookupTable, lookupTable, signedAfterModality } from "../model/lookup-table";
import { Tag } from "../model/tags";
import { bytesOf } from "./attribute-bytes";

interface Tables {
	readonly modality: LookupTable | undefined;
	readonly voi: readonly LookupTable[];
}

const NONE: Tables = { modality: undefined, voi: [] };
const known = new Map<string, Tables>();

const hasTables = (attributes: DataSet) =>
	attributes[Tag.ModalityLUTSequence]?.Value !== undefined ||
	attributes[Tag.VOILUTSequence]?.Value !== undefined;

async function read(
	attributes: DataSet,
	tag: string,
	signedInput: boolean,
): Promise<LookupTable[]> {
	const tables = await Promise.all(
		items(attributes, tag).map(async (item) =>
			lookupTable(item, await bytesOf(item[Tag.LUTData]), signedInput),
		),
	);
	return tables.flatMap((table) => table ?? []);
}

/** Reads the tables of an instance, once; tables may have to be fetched. */
export async function readTables(instance: DataSet): Promise<void> {
	const uid = text(instance, Tag.SOPInstanceUID);
	if (known.has(uid) || !hasTables(instance)) return;
	const signed = number(instance, Tag.PixelRepresentation) === 1;
	const [modality, voi] = await Promise.all([
		read(instance, Tag.ModalityLUTSequence, signed),
		read(instance, Tag.VOILUTSequence, signedAfterModality(instance)),
	]);
	known.set(uid, { modality: modality[0], voi });
}

function tablesOf(attributes: DataSet): Tables {
	return known.get(text(attributes, Tag.SOPInstanceUID)) ?? NONE;
}

/** Takes the place of rescale slope and intercept (PS3.3 C.11.1). */
export function modalityTable(attributes: DataSet): LookupTable | undefined {
	return tablesOf(attributes).modality;
}

export function voiTables(attributes: DataSet): readonly LookupTable[] {
	return tablesOf(attributes).voi;
}

/** Forgets everything; for leaving a study. */
export function forgetTables(): void {
	known.clear();
}
