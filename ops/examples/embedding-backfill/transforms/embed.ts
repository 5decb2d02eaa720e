interface Chunk {
  id: number;
  content: string;
}

interface EmbeddedChunk extends Chunk {
  model: string;
  embedding: number[];
}

const model = 'vowels-1';

/** Stands for a model: how often each vowel stands in a text, by its length. One answer for each text, in their order. */
async function embed(texts: string[]): Promise<number[][]> {
  return texts.map((text) => {
    const letters = [...text];
    return [...'aeiou'].map(
      (vowel) => letters.filter((each) => each === vowel).length / (letters.length || 1),
    );
  });
}

/** The rows of a chunk with their embeddings, from one call of the model. */
export default async function embedChunks(chunks: Chunk[]): Promise<EmbeddedChunk[]> {
  const embeddings = await embed(chunks.map(({ content }) => content));
  return chunks.map((chunk, i) => ({ ...chunk, model, embedding: embeddings[i]! }));
}
