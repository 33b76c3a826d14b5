/** The bytes of a binary attribute, wherever the server put them. */

import { bulkData } from "../dicomweb/client";
import { type Attribute, inlineBinary } from "../dicomweb/dicom-json";

/** Inline, as 16-bit values, or behind a BulkDataURI; undefined when the attribute is not there. */
export async function bytesOf(attribute: Attribute | undefined): Promise<Uint8Array | undefined> {
	if (attribute?.BulkDataURI) return bulkData(attribute.BulkDataURI);
	if (attribute?.Value) {
		const words = Uint16Array.from(attribute.Value.map(Number));
		return new Uint8Array(words.buffer);
	}
	return inlineBinary(attribute);
}
