//! Every metric: name, help, labels and buckets, in this one file.
