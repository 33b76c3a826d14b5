/** Asks for the words of a text annotation. */

import * as Dialog from "@radix-ui/react-dialog";
import { useCallback, useState } from "react";

interface Question {
	current: string;
	answer: (text: string | undefined) => void;
}

export function useTextPrompt() {
	const [question, setQuestion] = useState<Question>();
	const ask = useCallback(
		(current: string) =>
			new Promise<string | undefined>((resolve) => setQuestion({ current, answer: resolve })),
		[],
	);
	const finish = useCallback((text: string | undefined) => {
		setQuestion((asked) => {
			asked?.answer(text);
			return undefined;
		});
	}, []);
	return { question, ask, finish };
}

export function TextPrompt({ prompt }: { prompt: ReturnType<typeof useTextPrompt> }) {
	const { question, finish } = prompt;
	if (!question) return null;
	return (
		<Dialog.Root open onOpenChange={(open) => !open && finish(undefined)}>
			<Dialog.Portal>
				<Dialog.Overlay className="scrim" />
				<Dialog.Content className="dialog" aria-describedby={undefined} style={{ width: 380 }}>
					<Dialog.Title className="visually-hidden">Text annotation</Dialog.Title>
					<form
						className="text-prompt"
						onSubmit={(event) => {
							event.preventDefault();
							const field = new FormData(event.currentTarget).get("text");
							finish(String(field ?? "").trim() || undefined);
						}}
					>
						<input
							className="field"
							name="text"
							defaultValue={question.current}
							placeholder="Text on the image"
							aria-label="Text on the image"
							// biome-ignore lint/a11y/noAutofocus: the dialog exists for this field
							autoFocus
							maxLength={200}
						/>
						<button className="button" data-kind="primary" type="submit">
							Add
						</button>
					</form>
				</Dialog.Content>
			</Dialog.Portal>
		</Dialog.Root>
	);
}
