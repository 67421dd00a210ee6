/* A model that tqhw exported, run in integers: C99, nothing but the standard library.

   cc -std=c99 -O2 integers.c -o integers -lm
   integers MODEL BITS CHANNELSxHEIGHTxWIDTH STEP... < picture > outputs

   The picture is uint8 and stands for its values divided by 255. Every STEP is one of
     conv,LAYER,STRIDE,PADDING,NORM[,DILATION]    a convolution, its batch norm and a ReLU; groups are as LAYER has them
     mean                              over height and width
     linear,LAYER
   and the outputs are float32. Read are the header, BITS planes, and what BITS have of their own: docs/format.md says
   how the bytes lie. Export with --fold, quantized activations, and a scale per tensor or per output channel.

   With M = 2^BITS - 1 a weight is scale c / M for its code k and the whole number c = 2 k - M, and an input is
   low + step j for its code j. A sum of products then is step S + low C, of the whole numbers S = sum c j and C = sum c,
   times scale / M. Digests are not checked here: do that when the file arrives. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(2);
}

/* JSON without spaces: just enough to walk through values. */

static const char *skip(const char *p) { /* what follows the value at p */
    int depth = 0;
    for (;;) {
        if (*p == '"') {
            for (p++; *p && *p != '"'; p++) p += *p == '\\' && p[1];
            p += *p == '"';
        } else if (*p == '{' || *p == '[') {
            depth++, p++;
            continue;
        } else if (*p == '}' || *p == ']') {
            depth--, p++;
        } else if (depth && (*p == ',' || *p == ':')) {
            p++;
            continue;
        } else {
            while (*p && !strchr(",:]}", *p)) p++;
        }
        if (depth <= 0 || !*p) return p;
    }
}

static int is(const char *p, const char *text) { /* whether the string at p is text */
    size_t n = strlen(text);
    return *p == '"' && !strncmp(p + 1, text, n) && p[n + 1] == '"';
}

static const char *first(const char *p) { /* of the array or object at p; NULL where it is empty */
    return p && p[0] && p[1] != ']' && p[1] != '}' ? p + 1 : NULL;
}

static const char *after(const char *p) { /* the value after the one at p, or NULL */
    p = skip(p);
    return *p == ',' ? p + 1 : NULL;
}

static const char *member(const char *p, const char *key) { /* a value of the object at p, or NULL */
    for (p = first(p); p; p = after(p)) {
        const char *value = skip(p) + 1;
        if (is(p, key)) return value;
        p = value;
    }
    return NULL;
}

static long product(const char *p) { /* of the numbers in the array at p */
    long n = 1;
    for (p = first(p); p; p = after(p)) n *= strtol(p, NULL, 10);
    return n;
}

/* The file. */

typedef struct {
    FILE *file;
    long data; /* where the blocks start */
    char *entries, *header;
    int bits;
    uint8_t *codes, *common, *own;
} Model;

static uint8_t *take(FILE *file, long start, long length) {
    uint8_t *bytes = calloc(1, (size_t)length + 1);
    if (!bytes || fseek(file, start, SEEK_SET) || fread(bytes, 1, (size_t)length, file) != (size_t)length)
        fail("the model", "ends early");
    return bytes;
}

static uint8_t *block(const Model *m, const char *name, long bytes) { /* NULL where there is none */
    const char *entry = member(m->entries, name);
    if (!entry) return NULL;
    const char *start = first(member(entry, "data_offsets"));
    long from = strtol(start, NULL, 10), to = strtol(after(start), NULL, 10);
    if (bytes >= 0 && to - from != bytes) fail(name, "is not of this model");
    return take(m->file, m->data + from, to - from);
}

static char *unescaped(const char *p) { /* the string at p */
    char *text = malloc(strlen(p)), *q = text;
    for (p++; *p && *p != '"'; *q++ = *p++) p += *p == '\\' && p[1];
    *q = 0;
    return text;
}

static Model load(const char *path, int bits) {
    Model m = {fopen(path, "rb"), 0, NULL, NULL, bits, NULL, NULL, NULL};
    if (!m.file) fail(path, "cannot be read");
    uint8_t *size = take(m.file, 0, 8);
    long length = size[0] | (long)size[1] << 8 | (long)size[2] << 16 | (long)size[3] << 24;
    m.entries = (char *)take(m.file, 8, length);
    m.data = 8 + length;
    m.header = unescaped(member(member(m.entries, "__metadata__"), "tqhw"));
    if (strtol(member(m.header, "version"), NULL, 10) != 2) fail(path, "is not of version 2");
    if (bits < 1 || bits > strtol(member(m.header, "stored"), NULL, 10)) fail(path, "holds fewer bits");
    if (member(member(m.header, "quantization"), "normalization") &&
        !strncmp(member(member(member(m.header, "quantization"), "normalization"), "zero"), "true", 4))
        fail(path, "has codes of a sign and a magnitude, which this example does not read");
    char name[32];
    sprintf(name, "at/%d", bits);
    m.own = block(&m, name, -1);
    if (!m.own && first(member(m.header, "each"))) fail(path, "does not serve these bits");
    m.common = block(&m, "common", -1);
    long count = 0;
    for (const char *p = first(member(m.header, "layers")); p; p = after(p))
        if (!member(p, "bits") && !member(p, "codes_of")) count += product(member(p, "shape"));
    m.codes = calloc((size_t)count + 1, 1);
    for (int plane = 0; plane < bits; plane++) {
        sprintf(name, "plane/%d", plane);
        uint8_t *packed = block(&m, name, (count + 7) / 8);
        if (!packed) fail(name, "is missing");
        for (long i = 0; i < count; i++) m.codes[i] = (uint8_t)(m.codes[i] << 1 | (packed[i / 8] >> (7 - i % 8) & 1));
        free(packed);
    }
    return m;
}

static float *numbers(const Model *m, const char *kind, const char *name, long *count) { /* NULL where there are none */
    char wanted[512];
    snprintf(wanted, sizeof wanted, "%s/%s", kind, name);
    for (int own = 0; own < 2; own++) {
        long start = 0;
        for (const char *p = first(member(m->header, own ? "each" : "common")); p; p = after(p)) {
            const char *row = first(p), *shape = after(row), *type = after(shape);
            long n = product(shape), size = !type ? 4 : strchr(type, '6') ? 8 : 1; /* F64, I64; else bytes */
            if (type && (is(type, "F16") || is(type, "BF16") || is(type, "I16"))) size = 2;
            if (type && is(type, "I32")) size = 4;
            if (is(row, wanted) && !type) {
                float *found = malloc(sizeof(float) * (size_t)n + 1);
                memcpy(found, (own ? m->own : m->common) + start, sizeof(float) * (size_t)n); /* little endian */
                return *count = n, found;
            }
            start += n * size;
        }
    }
    return *count = 0, NULL;
}

/* Layers. */

typedef struct {
    long out, in;               /* channels; of the inputs, those of a group */
    const uint8_t *codes;
    long high, wide, dilation;  /* the kernel, 1 x 1 of a linear layer */
    int top, input_top;         /* 2^bits - 1 of weights and inputs */
    float *factor, *add;        /* per output channel: scale / M, and the norm's; bias and shift */
    float alpha, low;           /* the range of the inputs */
} Layer;

static Layer layer(const Model *m, const char *name, const char *norm) {
    long start = 0, n = 0;
    const char *p = first(member(m->header, "layers"));
    for (; p && !is(member(p, "name"), name); p = after(p))
        if (!member(p, "bits") && !member(p, "codes_of")) start += product(member(p, "shape"));
    if (!p || member(p, "bits") || member(p, "codes_of") || member(p, "group")) fail(name, "is no layer for this example");
    const char *size = first(member(p, "shape"));
    Layer l = {strtol(size, NULL, 10), 0, m->codes + start, 1, 1, 1, (1 << m->bits) - 1, 255, NULL, NULL, 1, 0};
    l.in = strtol(size = after(size), NULL, 10);
    if ((size = after(size))) {
        l.high = strtol(size, NULL, 10);
        if (!(size = after(size)) || after(size)) fail(name, "is no convolution over height and width");
        l.wide = strtol(size, NULL, 10);
    }
    if (l.in * l.high * l.wide > INT32_MAX / 255 / 255) fail(name, "sums more products than 32 bits are sure to hold");
    char part[512];
    float *scale = numbers(m, "scale", name, &n);
    long scales = n;
    if (!scale || (n != 1 && n != l.out)) fail(name, "has no scale per tensor or per channel");
    snprintf(part, sizeof part, "%s.bias", name);
    float *bias = numbers(m, "state", part, &n);
    float *folded = norm ? numbers(m, "norm", norm, &n) : NULL;
    if (norm && !folded) fail(norm, "is not folded: export with --fold");
    l.factor = malloc(sizeof(float) * (size_t)l.out);
    l.add = malloc(sizeof(float) * (size_t)l.out);
    for (long c = 0; c < l.out; c++) {
        l.factor[c] = scale[scales == 1 ? 0 : c] / (float)l.top * (folded ? folded[c] : 1);
        l.add[c] = (bias ? bias[c] : 0) * (folded ? folded[c] : 1) + (folded ? folded[l.out + c] : 0);
    }
    snprintf(part, sizeof part, "%s.input_quantizer.alpha", name);
    float *alpha = numbers(m, "state", part, &n);
    if (alpha) l.alpha = *alpha;
    snprintf(part, sizeof part, "%s.input_quantizer.low", name);
    float *low = numbers(m, "state", part, &n);
    if (low) l.low = *low * l.alpha;
    const char *bits = member(member(m->header, "quantization"), "activation_bits");
    if (bits) l.input_top = (1 << (*bits == 'n' ? m->bits : strtol(bits, NULL, 10))) - 1;
    return l;
}

static uint8_t *quantized(const Layer *l, const float *x, long n) { /* codes of the inputs */
    uint8_t *codes = malloc((size_t)n + 1);
    for (long i = 0; i < n; i++) {
        float clamped = x[i] < l->low ? l->low : x[i] > l->alpha ? l->alpha : x[i];
        float code = floorf((float)(l->input_top + 1) * ((clamped - l->low) / (l->alpha - l->low)));
        codes[i] = (uint8_t)(code > (float)l->input_top ? l->input_top : code);
    }
    return codes;
}

/* One output: the integer sums over a window, and what makes a number of them. A linear layer has one window. */
static float output(const Layer *l, const uint8_t *x, long c, long h, long w, long y0, long x0) {
    int32_t sum = 0, whole = 0; /* |sum| <= 255 * 255 * weights of a channel */
    const uint8_t *k = l->codes + c * l->in * l->high * l->wide;
    for (long i = 0; i < l->in; i++)
        for (long dy = 0; dy < l->high; dy++)
            for (long dx = 0; dx < l->wide; dx++, k++) {
                long at_y = y0 + dy * l->dilation, at_x = x0 + dx * l->dilation;
                if (at_y < 0 || at_y >= h || at_x < 0 || at_x >= w) continue; /* padding is 0, whatever code that has */
                int32_t weight = 2 * *k - l->top;
                sum += weight * x[(i * h + at_y) * w + at_x];
                whole += weight;
            }
    float step = (l->alpha - l->low) / (float)l->input_top;
    return l->factor[c] * (step * (float)sum + l->low * (float)whole) + l->add[c];
}

int main(int argc, char **argv) {
    long c, h, w;
    if (argc < 5 || sscanf(argv[3], "%ldx%ldx%ld", &c, &h, &w) != 3)
        fail("integers", "MODEL BITS CHANNELSxHEIGHTxWIDTH STEP... < picture > outputs");
    Model m = load(argv[1], atoi(argv[2]));
    long n = c * h * w;
    uint8_t *codes = malloc((size_t)n);
    if (fread(codes, 1, (size_t)n, stdin) != (size_t)n) fail("the picture", "ends early");
    float *x = NULL; /* what the step before gave; the picture has codes already */
    for (int step = 4; step < argc; step++) {
        char name[256], norm[256];
        long stride = 1, padding = 0, dilation = 1, groups = 1;
        if (!strcmp(argv[step], "mean") && x) {
            for (long i = 0; i < c; i++) {
                float sum = 0;
                for (long j = 0; j < h * w; j++) sum += x[i * h * w + j];
                x[i] = sum / (float)(h * w);
            }
            h = w = 1;
            continue;
        }
        int conv = sscanf(argv[step], "conv,%255[^,],%ld,%ld,%255[^,],%ld", name, &stride, &padding, norm, &dilation) >= 4;
        if (!conv && sscanf(argv[step], "linear,%255s", name) != 1) fail(argv[step], "is no step");
        if (stride < 1 || padding < 0 || dilation < 1) fail(argv[step], "has no such stride, padding or dilation");
        Layer l = layer(&m, name, conv ? norm : NULL);
        if (x) codes = quantized(&l, x, c * h * w);
        else l.alpha = 1, l.low = 0, l.input_top = 255;
        if (conv) groups = c / l.in; /* a channel of the outputs reads l.in of the inputs */
        if (l.in * groups != (conv ? c : c * h * w) || l.out % groups) fail(name, "has other inputs");
        if (!conv) h = w = 1;
        l.dilation = dilation;
        long high = h + 2 * padding - dilation * (l.high - 1), wide = w + 2 * padding - dilation * (l.wide - 1);
        if (high < 1 || wide < 1) fail(name, "has a kernel that is larger than what it reads");
        high = (high - 1) / stride + 1, wide = (wide - 1) / stride + 1;
        x = malloc(sizeof(float) * (size_t)(l.out * high * wide));
        for (long i = 0; i < l.out * high * wide; i++) {
            long channel = i / (high * wide), group = channel / (l.out / groups);
            const uint8_t *from = codes + group * l.in * h * w;
            float y = output(&l, from, channel, h, w, i / wide % high * stride - padding, i % wide * stride - padding);
            x[i] = conv && y < 0 ? 0 : y;
        }
        c = l.out, h = high, w = wide;
    }
    fwrite(x, sizeof(float), (size_t)(c * h * w), stdout);
    return 0;
}
